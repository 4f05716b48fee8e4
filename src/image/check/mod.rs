//! Looking at every table word of an image, and at what it leads to.

pub(crate) mod finding;
pub(crate) mod options;
pub(crate) mod state;
pub(crate) mod usage;

use crate::device::BlockRead;
use crate::error::Error;
use crate::image::Image;
use crate::image::check::finding::{CheckSummary, Finding};
use crate::image::check::options::CheckOptions;
use crate::image::check::state::{Check, Checking, Question};
use crate::image::check::usage::UsageMap;
use crate::reader::stop::Stop;

impl<D> Image<'_, D> {
    /// Returns the bytes that [`CheckOptions::bitmap`] needs: one for 2 KiB of the file.
    #[must_use]
    pub fn check_bitmap_len(&self) -> usize {
        usage::map_len(self.state.device().end)
    }
}

impl<D: BlockRead> Image<'_, D> {
    /// Checks every table word, and calls `found` for what is wrong: a word that leads past the end of the file or to the
    /// header or the L1 table, a misaligned cluster, a compressed cluster of size 0, bit 63 in an L1 word, more L2 tables
    /// than fit in the file. Words in sequence that are wrong in the same way are one finding. It reads tables, never
    /// data.
    ///
    /// Guest bytes that a wrong word leaves unknown are in none of the summary's counts.
    ///
    /// It reads each table of a good image once, in as few requests as the memory allows. Of any image it looks at the L1
    /// words in the file, and at the words of at most one L2 table more than the file has room for; it makes at most 4
    /// device reads for each of these words.
    ///
    /// # Errors
    /// [`Error::Io`]: what could not be read was not checked. What was found before it has been reported.
    pub fn check(&mut self, found: impl FnMut(Finding)) -> Result<CheckSummary, Error<D::Error>> {
        self.check_with(CheckOptions::new(), found)
    }

    /// Checks the same, as thoroughly as `options` say.
    ///
    /// Inflating adds at most 11 device reads for each compressed cluster.
    ///
    /// # Errors
    /// [`Error::Io`], as [`Image::check`]; [`Error::MemoryTooSmall`] for the usage map, or for inflating;
    /// [`Error::Unsupported`] for inflating in a build without the feature `deflate`.
    pub fn check_with<U: UsageMap + ?Sized>(
        &mut self,
        options: CheckOptions<'_, U>,
        found: impl FnMut(Finding),
    ) -> Result<CheckSummary, Error<D::Error>> {
        let Some(header) = self.state.header() else {
            return Ok(CheckSummary::raw(self.size()));
        };
        let file_end = self.state.device().end;
        let mut options = options;
        options.clear_map(file_end)?;
        let check = Check::new(header, file_end, options, found);
        let mut checking = Checking { image: self, check };
        // Bound: each turn goes on by a run, and a span is one turn or, for a table, at most two for each of its words.
        while let Some(question) = checking.check.question() {
            let Checking { image, check } = &mut checking;
            let answered = match question {
                // A byte of the cluster has all of it inflated.
                Question::Stream => image.read_at(check.at.0, &mut [0]),
                Question::Table | Question::Run => image.look_up(check),
            };
            check.answered(question, answered)?;
        }
        Ok(checking.check.summary())
    }

    /// Answers a question about tables. Apart from its caller, so that a walk is not on the stack below a read.
    #[inline(never)]
    fn look_up<U: UsageMap + ?Sized>(
        &mut self,
        check: &mut Check<'_, U, impl FnMut(Finding)>,
    ) -> Result<(), Error<D::Error>> {
        let mut walk = check.walk();
        // Bound: at most two misses for each table word that the walk looks at.
        loop {
            let found = walk.find(&mut self.state);
            if check.takes_table(&self.state) {
                return Ok(());
            }
            match found {
                Ok(()) => {
                    check.run(&walk.take_extent());
                    return Ok(());
                }
                Err(Stop::Miss) => self.fill()?,
                // The check forgets the tables itself, once.
                Err(stop) => return Err(walk.public_error(stop, &self.state)),
            }
        }
    }
}
