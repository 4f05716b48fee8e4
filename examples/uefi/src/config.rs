//! Parses `\qcow1.conf`, which configures what to boot.

use core::fmt;

use heapless::Vec;

/// The maximum number of backing images.
pub const MAX_BACKING: usize = 7;

/// The settings in `\qcow1.conf`.
///
/// Each line has one setting, `NAME = VALUE`. Empty lines and lines that begin with `#` are ignored.
///
/// ```text
/// image = PciRoot(0x0)/Pci(0x3,0x0)
/// backing = qcow \images\base.qcow
/// backing = raw PciRoot(0x0)/Pci(0x4,0x0)
/// memory = 1M
/// ```
#[derive(PartialEq, Eq, Debug)]
pub struct Config<'t> {
    /// The top image.
    pub image: Place<'t>,
    /// The images below it, from the top down.
    pub backing: Vec<Backing<'t>, MAX_BACKING>,
    /// The number of bytes to lend to each image.
    pub memory: Option<usize>,
}

/// The place of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place<'t> {
    /// A file on the loader's own volume, by its path, which begins with a backslash.
    File(&'t str),
    /// A block device, by its device path as the firmware prints it.
    Disk(&'t str),
}

/// A backing image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backing<'t> {
    pub format: Format,
    pub place: Place<'t>,
}

/// The format of a disk. It is declared, never probed: whoever can write to a raw disk can make it look like an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Qcow,
    Raw,
}

/// The error of an invalid configuration.
#[derive(PartialEq, Eq, Debug)]
pub enum ConfigError<'t> {
    /// The number of the invalid line, from 1, and its error.
    Line(usize, Flaw<'t>),
    /// No line sets `image`.
    NoImage,
}

/// The error of a line.
#[derive(PartialEq, Eq, Debug)]
pub enum Flaw<'t> {
    NotASetting,
    UnknownName(&'t str),
    SetTwice(&'t str),
    NotAPlace(&'t str),
    NoFormat(&'t str),
    TooManyBacking,
    NotASize(&'t str),
}

impl<'t> Config<'t> {
    /// Parses the text of a configuration file.
    ///
    /// # Errors
    /// [`ConfigError::Line`] for the first invalid line; [`ConfigError::NoImage`] if no line sets `image`.
    pub fn parse(text: &'t str) -> Result<Self, ConfigError<'t>> {
        let mut image = None;
        let mut backing = Vec::new();
        let mut memory = None;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut take = || {
                let (name, value) = line.split_once('=').ok_or(Flaw::NotASetting)?;
                let (name, value) = (name.trim(), value.trim());
                match name {
                    "image" => set_once(name, &mut image, Place::parse(value)?),
                    "backing" => backing.push(Backing::parse(value)?).map_err(|_| Flaw::TooManyBacking),
                    "memory" => set_once(name, &mut memory, size(value).ok_or(Flaw::NotASize(value))?),
                    _ => Err(Flaw::UnknownName(name)),
                }
            };
            take().map_err(|flaw| ConfigError::Line(number, flaw))?;
        }
        Ok(Self {
            image: image.ok_or(ConfigError::NoImage)?,
            backing,
            memory,
        })
    }
}

fn set_once<'t, T>(name: &'t str, setting: &mut Option<T>, value: T) -> Result<(), Flaw<'t>> {
    match setting.replace(value) {
        None => Ok(()),
        Some(_) => Err(Flaw::SetTwice(name)),
    }
}

impl<'t> Place<'t> {
    fn parse(value: &'t str) -> Result<Self, Flaw<'t>> {
        if value.starts_with('\\') {
            Ok(Self::File(value))
        } else if value.ends_with(')') {
            Ok(Self::Disk(value))
        } else {
            Err(Flaw::NotAPlace(value))
        }
    }
}

impl<'t> Backing<'t> {
    fn parse(value: &'t str) -> Result<Self, Flaw<'t>> {
        let no_format = Flaw::NoFormat(value);
        let Some((format, place)) = value.split_once(' ') else {
            return Err(no_format);
        };
        let format = match format {
            "qcow" => Format::Qcow,
            "raw" => Format::Raw,
            _ => return Err(no_format),
        };
        let place = Place::parse(place.trim_start())?;
        Ok(Self { format, place })
    }
}

/// Parses a number of bytes: digits, and optionally `K` or `M` for a multiple of 2^10 or 2^20.
fn size(value: &str) -> Option<usize> {
    let (digits, unit) = if let Some(digits) = value.strip_suffix('K') {
        (digits, 1 << 10)
    } else if let Some(digits) = value.strip_suffix('M') {
        (digits, 1 << 20)
    } else {
        (value, 1)
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

impl fmt::Display for ConfigError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number, flaw) => write!(f, "line {number}: {flaw}"),
            Self::NoImage => f.write_str("no line says 'image = ...', so there is nothing to boot"),
        }
    }
}

impl fmt::Display for Flaw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotASetting => f.write_str("a setting has the form 'NAME = VALUE'"),
            Self::UnknownName(name) => write!(f, "there is no setting '{name}', only image, backing and memory"),
            Self::SetTwice(name) => write!(f, "'{name}' was set before"),
            Self::NotAPlace(value) => write!(
                f,
                "'{value}' is neither a file's path, which begins with '\\', nor a device path such as \
                 'PciRoot(0x0)/Pci(0x3,0x0)'"
            ),
            Self::NoFormat(value) => write!(
                f,
                "'{value}' does not begin with a format, 'qcow' or 'raw', and a space"
            ),
            Self::TooManyBacking => write!(f, "there are more than {MAX_BACKING} backing images"),
            Self::NotASize(value) => write!(f, "'{value}' is no number of bytes, such as 65536, 64K or 1M"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_all_that_a_configuration_needs() {
        let config = Config::parse("image = \\disk.qcow").unwrap();
        assert_eq!(config.image, Place::File("\\disk.qcow"));
        assert!(config.backing.is_empty());
        assert_eq!(config.memory, None);
    }

    #[test]
    fn every_setting_is_read_and_backing_images_keep_their_order() {
        let text = "\
            # what to boot\r\n\
            \r\n\
            image=PciRoot(0x0)/Pci(0x3,0x0)\r\n\
            \t backing = qcow   \\my images\\base.qcow \r\n\
            backing = raw PciRoot(0x0)/Pci(0x4,0x0)\r\n\
            memory = 64K\r\n";
        let config = Config::parse(text).unwrap();
        assert_eq!(config.image, Place::Disk("PciRoot(0x0)/Pci(0x3,0x0)"));
        let [base, raw] = *config.backing else {
            panic!("{:?}", config.backing);
        };
        assert_eq!(base.format, Format::Qcow);
        assert_eq!(base.place, Place::File("\\my images\\base.qcow"));
        assert_eq!(raw.format, Format::Raw);
        assert_eq!(raw.place, Place::Disk("PciRoot(0x0)/Pci(0x4,0x0)"));
        assert_eq!(config.memory, Some(65536));
    }

    #[test]
    fn the_configuration_that_the_readme_shows_is_one() {
        let readme = include_str!("../../README.md");
        let (_, shown) = readme.split_once("**`\\qcow1.conf`**").unwrap();
        let (_, shown) = shown.split_once("```text\n").unwrap();
        let (shown, _) = shown.split_once("```").unwrap();
        let config = Config::parse(shown).unwrap();
        assert_eq!(config.image, Place::File("\\images\\top.qcow"));
        assert_eq!(config.backing.len(), 2);
        assert_eq!(config.memory, Some(256 << 10));
    }

    #[test]
    fn a_size_is_in_bytes_or_has_a_unit() {
        assert_eq!(size("512"), Some(512));
        assert_eq!(size("3M"), Some(3 << 20));
        for wrong in ["", "K", "-1", "1G", "1 K", "0x10", "18446744073709551615M", "many"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_a_sentence_with_the_number_of_the_line() {
        let says = |text: &str, sentence: &str| {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(sentence), "{text:?}: {error}");
        };
        says("", "nothing to boot");
        says("# image = \\disk.qcow", "nothing to boot");
        says("image", "line 1: a setting has the form");
        says("\n\nimgae = \\disk.qcow", "line 3: there is no setting 'imgae'");
        says("image = \\a\nimage = \\b", "line 2: 'image' was set before");
        says("image = /disk.qcow", "line 1: '/disk.qcow' is neither a file's path");
        says("image =", "line 1: '' is neither a file's path");
        says(
            "image = \\a\nbacking = \\b",
            "line 2: '\\b' does not begin with a format",
        );
        says(
            "image = \\a\nbacking = qcow2 \\b",
            "line 2: 'qcow2 \\b' does not begin with a format",
        );
        says("image = \\a\nbacking = raw base.raw", "line 2: 'base.raw' is neither");
        says("image = \\a\nmemory = all", "line 2: 'all' is no number of bytes");
        says(
            "memory = 1M\nmemory = 2M\nimage = \\a",
            "line 2: 'memory' was set before",
        );
    }

    #[test]
    fn more_backing_images_than_there_is_room_for_are_refused() {
        let most = "image = \\a\n".to_string() + &"backing = qcow \\b\n".repeat(MAX_BACKING);
        assert_eq!(Config::parse(&most).unwrap().backing.len(), MAX_BACKING);
        let more = most + "backing = qcow \\b\n";
        let error = ConfigError::Line(MAX_BACKING + 2, Flaw::TooManyBacking);
        assert_eq!(Config::parse(&more), Err(error));
    }
}
