//! `Image::check`: the synchronous driver of a check, which looks at every table word and at what
//! it refers to.

pub(crate) mod finding;
pub(crate) mod options;
pub(crate) mod state;
pub(crate) mod usage;

use crate::device::BlockRead;
use crate::error::Error;
use crate::image::Image;
use crate::image::check::finding::{CheckSummary, Finding};
use crate::image::check::options::CheckOptions;
use crate::image::check::state::{Check, CheckGuard, Forget, Question};
use crate::image::check::usage::UsageMap;
use crate::memory::Memory;
use crate::reader::stop::Stop;

impl<D, M> Image<D, M> {
    /// Returns the number of bytes that [`CheckOptions::bitmap`] needs: one for each 2 KiB of the
    /// file.
    #[must_use]
    pub fn check_bitmap_len(&self) -> usize {
        usage::map_len(self.state.device().end)
    }
}

impl<D: BlockRead, M: Memory> Image<D, M> {
    /// Checks every table word, and calls `on_finding` for each flaw:
    /// - a word that refers past the end of the file, or to the header or the L1 table,
    /// - a misaligned cluster, or a compressed cluster of size 0,
    /// - an L1 word with bit 63 set,
    /// - more L2 tables than fit in the file.
    ///
    /// Adjacent words with the same flaw are one finding. The summary does not count guest bytes
    /// whose table words are invalid. A check reads only tables, never data.
    ///
    /// It looks at the tables in the sequence of the disk, and reads as much of them at a time as
    /// the memory allows. With so little memory that the image has one slot for tables, it also
    /// reads a part of the L1 table for each L2 table. For any image, the size of the file bounds
    /// its work: it looks only at L1 words inside the file, and at no more than one L2 table beyond
    /// the number that fits in the file, with at most 4 device reads for each table word.
    ///
    /// # Errors
    /// [`Error::Io`] if the device failed. The rest of the image was not checked; earlier findings
    /// have been reported.
    pub fn check(&mut self, on_finding: impl FnMut(Finding)) -> Result<CheckSummary, Error<D::Error>> {
        self.check_with(CheckOptions::new(), on_finding)
    }

    /// Checks what [`Image::check`] checks, and what `options` add to it.
    ///
    /// [`CheckOptions::inflate`] adds at most 11 device reads for each compressed cluster.
    ///
    /// # Errors
    /// - [`Error::Io`]: as [`Image::check`].
    /// - [`Error::MemoryTooSmall`]: the usage map, or the memory lent for inflating, is too small.
    /// - [`Error::Unsupported`]: inflating was requested in a build without the feature `deflate`.
    pub fn check_with<U: UsageMap + ?Sized>(
        &mut self,
        options: CheckOptions<'_, U>,
        on_finding: impl FnMut(Finding),
    ) -> Result<CheckSummary, Error<D::Error>> {
        let Some(header) = self.state.header() else {
            return Ok(CheckSummary::raw(self.size()));
        };
        let file_end = self.state.device().end;
        let mut options = options;
        options.clear_map(file_end)?;
        let check = Check::new(header, file_end, options, on_finding);
        let mut guard = CheckGuard { image: self, check };
        // Bound: each turn ends a run, and a span takes one turn or, if it has a table, at most two
        // for each of its words.
        while let Some(question) = guard.check.question() {
            let CheckGuard { image, check } = &mut guard;
            let outcome = match question {
                // Reading one byte of the cluster inflates all of it.
                Question::Stream => image.read_at(check.at.0, &mut [0]),
                Question::Table | Question::Run => image.look_up(check),
            };
            check.resume(question, outcome)?;
        }
        Ok(guard.check.summary())
    }

    /// Answers a question about tables. Not inlined, so that the walk is not on the stack during a
    /// read.
    #[inline(never)]
    fn look_up<U: UsageMap + ?Sized>(
        &mut self,
        check: &mut Check<'_, U, impl FnMut(Finding)>,
    ) -> Result<(), Error<D::Error>> {
        let mut walk = check.walk();
        self.state.begin_call(self.memory.bytes());
        // Bound: at most two misses for each table word that the walk looks at, and two more for
        // each failed read.
        loop {
            let outcome = walk.find(&mut self.state, self.memory.bytes());
            if check.claim_table(&self.state) {
                return Ok(());
            }
            match outcome {
                Ok(()) => {
                    check.record_run(&walk.take_extent());
                    return Ok(());
                }
                Err(Stop::Miss) => self.read_piece()?,
                // Dropping `CheckGuard` makes the cache forget the tables, once.
                Err(stop) => return Err(walk.error(stop, &self.state)),
            }
        }
    }
}

impl<D, M: Memory> Forget for Image<D, M> {
    fn forget(&mut self) {
        self.forget();
    }
}
