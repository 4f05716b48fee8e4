//! The tables of the fast decoder, or a type without values in a build without them.

#[cfg(feature = "fast")]
pub(crate) use super::fast::Tables;
#[cfg(not(feature = "fast"))]
pub(crate) use none::Tables;

/// Without the feature `fast`, the type of the tables has no value, and the code for them is left
/// out.
#[cfg(not(feature = "fast"))]
mod none {
    use crate::bits::Bits;
    use crate::compact::SmallTables;
    use crate::symbols::Stop;

    pub(crate) enum Tables {}

    impl Tables {
        pub(crate) fn fill_precode(&mut self, _: &[u16]) {
            match *self {}
        }

        pub(crate) fn take_precode(&self, _: &mut Bits<'_>) -> usize {
            match *self {}
        }

        pub(crate) fn fill(&mut self, _: &SmallTables) {
            match *self {}
        }

        pub(crate) fn decode(&self, _: &mut Bits<'_>, _: &mut [u8], _: usize) -> (usize, Stop) {
            match *self {}
        }
    }
}
