//! Images that own their memory, and move with it.

use crate::common::image_of_every_kind;
use qcow1::{Chain, Cursor, Image, Memory};

/// Moves the image after each read.
fn read_and_move<M: Memory>(file: &[u8], guest: &[u8], memory: M) -> M {
    let mut image = Image::open(file, memory).map_err(|error| error.into_error()).unwrap();
    for (number, part) in guest.chunks(777).enumerate() {
        let mut bytes = vec![0xcc; part.len()];
        let mut moved = Box::new((number as u8, image));
        moved.1.read_at(number as u64 * 777, &mut bytes).unwrap();
        assert!(bytes == part, "{number}");
        image = moved.1;
    }
    let (_, memory) = image.into_parts();
    memory
}

#[test]
fn an_image_owns_any_memory() {
    let (file, guest) = image_of_every_kind();
    read_and_move(&file, &guest, [0_u8; 5000]);
    read_and_move(&file, &guest, [0_u8; 16_001]);
    read_and_move(&file, &guest, vec![0_u8; 70_000]);
    read_and_move(&file, &guest, vec![0_u8; 20_000].into_boxed_slice());
    let mut array = [0_u8; 9000];
    let memory = read_and_move(&file, &guest, &mut array);
    read_and_move(&file, &guest, &mut memory[3..]);
    read_and_move(&file, &guest, &mut vec![1_u8; 8192]);
}

#[test]
fn a_cursor_owns_a_chain_of_images_that_own_their_memory() {
    use embedded_io::Read;
    let (file, guest) = image_of_every_kind();
    let mut chain = Chain::<_, 2>::new();
    chain.push(Image::open(&file[..], vec![0; 9000]).unwrap()).unwrap();
    let mut cursor = Cursor::new(chain);
    let mut bytes = vec![0; 10_000];
    cursor.read_exact(&mut bytes).unwrap();
    assert!(bytes == guest[..10_000]);
    assert_eq!(cursor.into_inner().images().len(), 1);
}
