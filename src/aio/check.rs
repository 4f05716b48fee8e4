//! The asynchronous driver of a check.

use crate::aio::{BlockRead, Image};
use crate::error::Error;
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
        self.0.check_bitmap_len()
    }
}

impl<D: BlockRead, M: Memory> Image<D, M> {
    /// Checks every table word; see [`crate::Image::check`].
    ///
    /// # Errors
    /// As [`crate::Image::check`].
    pub async fn check(&mut self, on_finding: impl FnMut(Finding)) -> Result<CheckSummary, Error<D::Error>> {
        self.check_with(CheckOptions::new(), on_finding).await
    }

    /// Checks what [`Image::check`] checks, and what `options` add to it; see
    /// [`crate::Image::check_with`].
    ///
    /// # Errors
    /// As [`crate::Image::check_with`].
    pub async fn check_with<U: UsageMap + ?Sized>(
        &mut self,
        options: CheckOptions<'_, U>,
        on_finding: impl FnMut(Finding),
    ) -> Result<CheckSummary, Error<D::Error>> {
        let Some(header) = self.0.state.header() else {
            return Ok(CheckSummary::raw(self.size()));
        };
        let file_end = self.0.state.device().end;
        let mut options = options;
        options.clear_map(file_end)?;
        let check = Check::new(header, file_end, options, on_finding);
        let mut guard = CheckGuard { image: self, check };
        // Bound: as in `crate::Image::check_with`.
        while let Some(question) = guard.check.question() {
            let CheckGuard { image, check } = &mut guard;
            let outcome = match question {
                Question::Stream => image.read_at(check.at.0, &mut [0]).await,
                Question::Table | Question::Run => image.look_up(check).await,
            };
            check.resume(question, outcome)?;
        }
        Ok(guard.check.summary())
    }

    /// Answers a question about tables.
    async fn look_up<U: UsageMap + ?Sized>(
        &mut self,
        check: &mut Check<'_, U, impl FnMut(Finding)>,
    ) -> Result<(), Error<D::Error>> {
        let mut walk = check.walk();
        self.0.state.begin_call(self.0.memory.bytes());
        // Bound: at most two misses for each table word that the walk looks at, and two more for
        // each failed read.
        loop {
            let outcome = walk.find(&mut self.0.state, self.0.memory.bytes());
            if check.claim_table(&self.0.state) {
                return Ok(());
            }
            match outcome {
                Ok(()) => {
                    check.record_run(&walk.take_extent());
                    return Ok(());
                }
                Err(Stop::Miss) => self.read_piece().await?,
                // Dropping `CheckGuard` makes the cache forget the tables, once.
                Err(stop) => return Err(walk.error(stop, &self.0.state)),
            }
        }
    }
}

impl<D, M: Memory> Forget for Image<D, M> {
    fn forget(&mut self) {
        self.0.forget();
    }
}
