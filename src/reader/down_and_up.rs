//! Takes a read down to the backing image for the bytes of a hole, and back up to the image above.

use crate::reader::image_state::ImageState;
use crate::reader::read::{ChainRead, Direction, Pending, Step};
use crate::reader::stop::Stop;

impl ChainRead<'_> {
    /// Continues in the image below, for the bytes of the run.
    pub(super) fn go_down(&mut self) -> Step<'static> {
        self.level = self.level.saturating_add(1);
        self.walk.truncate_to_run();
        self.pending = Pending::ChangeImage(Direction::Down);
        Step::ChangeImage
    }

    /// Ends this image's part: finishes the read at the top image; otherwise, zeros what the image
    /// lacks and continues in the image above.
    pub(super) fn go_up(&mut self, image: &ImageState) -> Result<Step<'static>, Stop> {
        let Some(above) = self.level.checked_sub(1) else {
            // With bytes left, an image above has asked for them, so the error is unreachable.
            return if self.dst.is_empty() {
                Ok(Step::Done)
            } else {
                Err(Stop::OutOfRange)
            };
        };
        // An image that is shorter than the one above it reads as zeros after its end. In any other
        // image, no bytes are left.
        self.take_dst(image.read_end.wrapping_sub(self.walk.start())).fill(0);
        self.level = above;
        self.pending = Pending::ChangeImage(Direction::Up);
        Ok(Step::ChangeImage)
    }

    /// Continues the walk in `image`, which the read has gone down or come back up to.
    pub(super) fn change_image(&mut self, image: &mut ImageState, memory: &mut [u8], direction: Direction) {
        // On the way up, the image has the `read_end` from when the read went down.
        if direction == Direction::Down {
            image.begin_call(memory);
            image.read_end = self.walk.end();
        }
        self.walk.switch_image(image.read_end.min(image.size()));
    }
}
