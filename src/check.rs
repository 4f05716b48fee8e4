//! Looking at every table word of an image.

use crate::device::BlockRead;
use crate::error::{Corrupt, CorruptKind, Error};
use crate::extent::ExtentKind;
use crate::geometry::Guest;
use crate::image::Image;
use crate::map::Walk;

/// One thing that is wrong with an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// What, and where.
    pub corrupt: Corrupt,
}

/// What a check has seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub struct CheckSummary {
    /// The number of findings.
    pub findings: u64,
    /// Guest bytes stored as they are.
    pub data_bytes: u64,
    /// Guest bytes stored deflated.
    pub compressed_bytes: u64,
    /// Guest bytes stored nowhere in this image.
    pub hole_bytes: u64,
}

impl<D: BlockRead> Image<'_, D> {
    /// Looks at every table word, and tells `found` of each that is wrong. It reads tables, never data.
    ///
    /// What a wrong word leaves unknown is counted in none of the summary's bytes.
    ///
    /// # Errors
    /// The device's own: what could not be read was not checked.
    pub fn check(&mut self, mut found: impl FnMut(Finding)) -> Result<CheckSummary, Error<D::Error>> {
        let mut summary = CheckSummary::default();
        let end = self.len();
        let mut walk = Walk::new(0, end, true, u32::MAX);
        // Each turn goes on by at least a byte: a run, or what is below a wrong word.
        loop {
            match self.advance(&mut walk) {
                Ok(run) => {
                    let bytes = match run.kind {
                        _ if run.len == 0 => return Ok(summary),
                        ExtentKind::Data { .. } => &mut summary.data_bytes,
                        ExtentKind::Compressed { .. } => &mut summary.compressed_bytes,
                        ExtentKind::Zero | ExtentKind::Backing => &mut summary.hole_bytes,
                    };
                    *bytes = bytes.saturating_add(run.len);
                }
                Err(Error::Corrupt(corrupt)) => {
                    summary.findings = summary.findings.saturating_add(1);
                    found(Finding { corrupt });
                    walk = Walk::new(self.end_below(&corrupt), end, true, u32::MAX);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The first guest byte that a wrong table word does not concern.
    fn end_below(&self, corrupt: &Corrupt) -> u64 {
        let (Some(header), Some(start)) = (self.header(), corrupt.guest_offset()) else {
            return self.len();
        };
        let below = match corrupt.kind() {
            CorruptKind::Cluster | CorruptKind::CompressedCluster => header.geometry().cluster_size(),
            _ => header.geometry().span(),
        };
        Guest(start).plus(below).0.min(self.len())
    }
}
