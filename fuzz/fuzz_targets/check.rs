#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if qcow1_fuzz::check(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
