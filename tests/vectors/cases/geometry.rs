//! Every legal pair of cluster and table size.

use crate::case::{Case, Expect, Read, Whole, text};
use crate::common::ImageBuilder;

/// Above this a disk is read in places, not in full.
const WHOLE: u64 = 1 << 20;

pub fn cases() -> Vec<Case> {
    let pairs = (9..=16).flat_map(|cluster_bits| (6..=13).map(move |l2_bits| pair(cluster_bits, l2_bits)));
    pairs.collect()
}

/// Returns an image with a span of holes, which has no table, and after it a hole and a cluster. A
/// reader that takes the wrong bits of an offset for an index finds something else.
fn pair(cluster_bits: u8, l2_bits: u8) -> Case {
    let (cluster, table) = (1_u64 << cluster_bits, 8_u64 << l2_bits);
    let span = cluster << l2_bits;
    let size = span + 2 * cluster;
    // Tables at multiples of their size, data at multiples of the cluster: this case is not
    // about alignment.
    let host = match table {
        _ if table == cluster => 2 * cluster,
        _ => table,
    };
    let bytes = text(span + cluster, cluster as usize);
    let mut image = ImageBuilder::new(size).bits(cluster_bits, l2_bits);
    image.table_at(span, host).data_at(span + cluster, cluster, &bytes);

    let mut edge = vec![0; 512];
    edge.extend(&bytes[..512]);
    let reads = vec![
        Read::gives(span + cluster - 512, &edge),
        Read::gives(size - 512, &bytes[bytes.len() - 512..]),
        Read::gives(span - 512, &[0; 1024]),
        Read::gives(0, &[0; 512]),
    ];
    let whole = if size <= WHOLE {
        let mut guest = vec![0; (span + cluster) as usize];
        guest.extend(&bytes);
        Whole::Bytes(guest)
    } else {
        Whole::Size(size)
    };
    let (entries, name) = (1 << l2_bits, format!("{cluster_bits}-{l2_bits}"));
    let shows = format!("Clusters of {cluster} bytes and L2 tables of {entries} entries are legal.");
    Case::reads_as(&name, "format: header", &shows, image.build(), &[]).expects(Expect { whole, reads })
}
