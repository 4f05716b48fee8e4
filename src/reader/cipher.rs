//! Encrypted clusters: each 512-byte sector on its own, with AES-128-CBC or a caller's engine.

use core::fmt;

use crate::offset::GuestOffset;
use crate::reader::stop::Stop;

/// log2 of a sector's bytes.
pub(crate) const SECTOR_SHIFT: u32 = 9;

/// A cipher that decrypts sectors, for example with a board's AES engine; see
/// [`Image::set_cipher`].
///
/// The format's cipher (crypt method 1) is AES-128 in CBC mode, separately for each sector. The
/// initialization vector is the sector's number as a little-endian `u64`, followed by eight zero
/// bytes (`plain64` in QEMU). The key is the first 16 bytes of the passphrase, padded with zero
/// bytes.
///
/// ```
/// use core::cell::RefCell;
/// use critical_section::Mutex;
/// use qcow1::{CipherFailed, Image, SectorCipher};
///
/// struct Engine; // your driver of the board's AES engine, which has the key
///
/// impl Engine {
///     fn cbc_decrypt(&mut self, _iv: [u8; 16], _sector: &mut [u8]) -> Result<(), ()> {
///         Ok(())
///     }
/// }
///
/// struct BoardCipher(Mutex<RefCell<Engine>>);
///
/// impl SectorCipher for BoardCipher {
///     fn decrypt(&self, first_sector: u64, sectors: &mut [u8]) -> Result<(), CipherFailed> {
///         critical_section::with(|section| {
///             let mut engine = self.0.borrow_ref_mut(section);
///             for (number, sector) in (first_sector..).zip(sectors.chunks_exact_mut(512)) {
///                 let mut iv = [0; 16];
///                 iv[..8].copy_from_slice(&number.to_le_bytes());
///                 engine.cbc_decrypt(iv, sector).map_err(|_| CipherFailed)?;
///             }
///             Ok(())
///         })
///     }
/// }
///
/// static CIPHER: BoardCipher = BoardCipher(Mutex::new(RefCell::new(Engine)));
///
/// let file: &[u8] = include_bytes!("../../tests/data/encrypted.qcow");
/// let mut image = Image::open(file, [0; 4096])?;
/// image.set_cipher(&CIPHER);
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
///
/// [`Image::set_cipher`]: crate::Image::set_cipher
pub trait SectorCipher {
    /// Decrypts `sectors` in place: one or more sectors of 512 bytes that are adjacent in the
    /// guest's disk. `first_sector` is the number of the first sector, which is its guest offset
    /// divided by 512.
    ///
    /// # Errors
    /// [`CipherFailed`] if the engine fails. The image's read then returns
    /// [`Error::CipherFailed`](crate::Error::CipherFailed), and can be retried.
    fn decrypt(&self, first_sector: u64, sectors: &mut [u8]) -> Result<(), CipherFailed>;
}

/// The error of a [`SectorCipher`]. It has no details: if the engine reports a cause, the cipher
/// must store it.
///
/// ```
/// use qcow1::{CipherFailed, Error, Image, SectorCipher};
///
/// struct BrokenEngine;
///
/// impl SectorCipher for BrokenEngine {
///     fn decrypt(&self, _first_sector: u64, _sectors: &mut [u8]) -> Result<(), CipherFailed> {
///         Err(CipherFailed)
///     }
/// }
///
/// let mut memory = [0; 4096];
/// let file: &[u8] = include_bytes!("../../tests/data/encrypted.qcow");
/// let mut image = Image::open(file, &mut memory)?;
/// image.set_cipher(&BrokenEngine);
/// assert_eq!(image.read_at(0, &mut [0; 512]), Err(Error::CipherFailed { guest_offset: 0 }));
/// # Ok::<(), Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CipherFailed;

impl fmt::Display for CipherFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cipher could not decrypt the sectors")
    }
}

impl core::error::Error for CipherFailed {}

/// The cipher of an image.
#[derive(Default)]
pub(crate) enum Cipher {
    #[default]
    None,
    #[cfg(feature = "aes")]
    Aes(AesCipher),
    Lent(&'static (dyn SectorCipher + Sync)),
}

impl Cipher {
    pub(crate) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Decrypts whole sectors, the first of which holds the guest's byte at `offset`.
    pub(crate) fn decrypt(&self, offset: GuestOffset, sectors: &mut [u8]) -> Result<(), Stop> {
        let first_sector = offset.0.wrapping_shr(SECTOR_SHIFT);
        match self {
            Self::None => return Err(Stop::KeyRequired),
            #[cfg(feature = "aes")]
            Self::Aes(cipher) => cipher.decrypt(first_sector, sectors),
            Self::Lent(cipher) => cipher.decrypt(first_sector, sectors),
        }
        .map_err(|CipherFailed| Stop::CipherFailed)
    }
}

#[cfg(feature = "aes")]
pub use aes_cipher::{AesCipher, Key};

#[cfg(feature = "aes")]
mod aes_cipher {
    use core::fmt;

    use aes::Aes128Dec;
    use cipher::consts::U16;
    use cipher::{Array, BlockModeDecrypt, InnerIvInit, KeyInit};
    use zeroize::Zeroize;

    use super::{CipherFailed, SECTOR_SHIFT, SectorCipher};

    /// The key of an encrypted image.
    ///
    /// Dropping it overwrites it with zeros. These are not overwritten:
    /// - the passphrase, which the caller owns,
    /// - copies of the key or of the key schedule that a move leaves on the stack:
    ///   [`Image::set_key`](crate::Image::set_key) moves the schedule, and so does moving an image
    ///   that has a key,
    /// - decrypted bytes of the disk in the lent memory, through which partial sectors and blocks
    ///   are read.
    ///
    /// QEMU makes an encrypted image, here an overlay on a raw disk, with the passphrase
    /// "passphrase":
    ///
    /// ```text
    /// qemu-img create -f qcow -b disk.raw -F raw --object secret,id=s0,data=passphrase \
    ///     -o encrypt.format=aes,encrypt.key-secret=s0 overlay.qcow
    /// ```
    ///
    /// ```
    /// use qcow1::{Image, Key};
    ///
    /// let file: &[u8] = include_bytes!("../../tests/data/encrypted.qcow");
    /// let mut memory = [0; 4096];
    /// let mut image = Image::open(file, &mut memory)?;
    /// image.set_key(&Key::from_passphrase(b"passphrase"));
    /// image.read_at(0, &mut [0; 512])?;
    /// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
    /// ```
    #[derive(Clone, PartialEq, Eq)]
    pub struct Key([u8; 16]);

    impl Key {
        /// Derives QEMU's key from a passphrase: its first 16 bytes, padded with zero bytes.
        ///
        /// QCOW1 has no key derivation, no salt and no key check: a wrong passphrase yields
        /// garbage, not an error.
        #[must_use]
        pub fn from_passphrase(passphrase: &[u8]) -> Self {
            let mut key = Self([0; 16]);
            for (to, from) in key.0.iter_mut().zip(passphrase) {
                *to = *from;
            }
            key
        }

        /// Creates a key from its 16 bytes.
        #[must_use]
        pub const fn from_bytes(bytes: [u8; 16]) -> Self {
            Self(bytes)
        }
    }

    impl Drop for Key {
        fn drop(&mut self) {
            self.0.zeroize();
        }
    }

    impl fmt::Debug for Key {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Key").finish_non_exhaustive()
        }
    }

    /// The format's cipher in software, or with the processor's AES instructions if the build
    /// enables them or they are detected at run time.
    ///
    /// [`Image::set_key`](crate::Image::set_key) uses it. Dropping it overwrites its key schedule
    /// with zeros; [`Key`] lists the copies that are not overwritten.
    ///
    /// ```
    /// use qcow1::{AesCipher, Image, Key};
    ///
    /// // Several images share one key schedule.
    /// let cipher: &'static AesCipher = Box::leak(Box::new(AesCipher::new(&Key::from_passphrase(b"passphrase"))));
    /// let mut memory = [0; 4096];
    /// let file: &[u8] = include_bytes!("../../tests/data/encrypted.qcow");
    /// let mut image = Image::open(file, &mut memory)?;
    /// image.set_cipher(cipher);
    /// image.read_at(0, &mut [0; 512])?;
    /// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
    /// ```
    pub struct AesCipher(Aes128Dec);

    impl AesCipher {
        /// Creates the cipher with this key.
        #[must_use]
        pub fn new(key: &Key) -> Self {
            // By reference: a copy of the key would stay on the stack.
            Self(Aes128Dec::new((&key.0).into()))
        }
    }

    impl SectorCipher for AesCipher {
        fn decrypt(&self, first_sector: u64, sectors: &mut [u8]) -> Result<(), CipherFailed> {
            let (blocks, _) = Array::<u8, U16>::slice_as_chunks_mut(sectors);
            let mut number = first_sector;
            // A sector is 2^9 bytes, and a block of AES 2^4.
            for sector in blocks.chunks_mut(1 << (SECTOR_SHIFT - 4)) {
                let mut iv = [0; 16];
                for (to, from) in iv.iter_mut().zip(number.to_le_bytes()) {
                    *to = from;
                }
                cbc::Decryptor::inner_iv_init(&self.0, &Array(iv)).decrypt_blocks(sector);
                // `RangeFrom<u64>` may panic after `u64::MAX`, so the sectors are counted by hand.
                number = number.wrapping_add(1);
            }
            Ok(())
        }
    }

    impl fmt::Debug for AesCipher {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("AesCipher").finish_non_exhaustive()
        }
    }
}
