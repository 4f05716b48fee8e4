//! The table cache, and what it uses.

#[path = "../../../src/reader/device_shape.rs"]
pub(crate) mod device_shape;
#[path = "../../../src/reader/stop.rs"]
pub(crate) mod stop;
#[path = "../../../src/reader/table_cache.rs"]
pub(crate) mod table_cache;
#[path = "../../../src/reader/truncated_file.rs"]
mod truncated_file;
