//! Conversions of the crate's errors to those of the standard library, for `?`.

use core::any::Any;
use std::boxed::Box;
use std::error::Error as StdError;
use std::io;

use crate::error::{Error, OpenError, PushError};

/// Keeps the kind of a device error that is an [`io::Error`]. The new error wraps this one.
impl<E: StdError + Send + Sync + 'static> From<Error<E>> for io::Error {
    fn from(error: Error<E>) -> Self {
        let kind = match &error {
            Error::Io(device) => {
                let device: &dyn Any = device;
                device
                    .downcast_ref::<Self>()
                    .map_or(io::ErrorKind::Other, io::Error::kind)
            }
            other => other.own_kind().into(),
        };
        Self::new(kind, error)
    }
}

impl<D, M, E: StdError + Send + Sync + 'static> From<OpenError<D, M, E>> for io::Error {
    fn from(error: OpenError<D, M, E>) -> Self {
        error.into_error().into()
    }
}

impl<I> From<PushError<I>> for io::Error {
    fn from(error: PushError<I>) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error.sentence())
    }
}

impl<D, M, E: StdError + 'static> From<OpenError<D, M, E>> for Box<dyn StdError> {
    fn from(error: OpenError<D, M, E>) -> Self {
        error.into_error().into()
    }
}

impl<D, M, E: StdError + Send + Sync + 'static> From<OpenError<D, M, E>> for Box<dyn StdError + Send + Sync> {
    fn from(error: OpenError<D, M, E>) -> Self {
        error.into_error().into()
    }
}

impl<I> From<PushError<I>> for Box<dyn StdError> {
    fn from(error: PushError<I>) -> Self {
        error.sentence().into()
    }
}

impl<I> From<PushError<I>> for Box<dyn StdError + Send + Sync> {
    fn from(error: PushError<I>) -> Self {
        error.sentence().into()
    }
}
