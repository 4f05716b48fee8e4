//! Polls futures by hand, and drops them before they end.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use qcow1::{BlockRead, BlockSize, aio};

/// A future that is pending once.
pub async fn later() {
    let mut asked = false;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut asked, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Polls a future a limited number of times. Returns `None` if it was dropped before its end.
pub fn poll<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..times).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// Polls a future to its end.
pub fn finish<F: Future>(future: F) -> F::Output {
    poll(future, 1 << 20).expect("a future without end")
}

/// A device whose calls are each pending once.
pub struct Slow<D>(pub D);

impl<D: BlockRead> aio::BlockRead for Slow<D> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.0.block_size()
    }

    async fn size(&mut self) -> Result<u64, D::Error> {
        later().await;
        self.0.size()
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        // An aborted transfer may leave any bytes in the buffer.
        buf.fill(0xee);
        later().await;
        self.0.read_blocks(lba, buf)
    }
}
