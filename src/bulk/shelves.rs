//! Which things have so much? Things on numbered shelves, moved in constant time; and which shelves of a row are not empty.

/// Stands for a thing on no shelf.
const NOWHERE: u32 = u32::MAX;

/// Things on shelves. Which of them lies where on its shelf depends on all that was moved before, and on nothing else.
pub struct Shelves {
    lists: Vec<Vec<u32>>,
    /// Shelf and place on it. Shape: things.
    at: Vec<(u32, u32)>,
    /// Bit `shelf`: it is not empty.
    filled: Vec<u64>,
}

impl Shelves {
    /// Empty ones.
    pub fn new(shelves: usize, things: usize) -> Shelves {
        Shelves {
            lists: vec![Vec::new(); shelves],
            at: vec![(NOWHERE, 0); things],
            filled: vec![0; shelves.div_ceil(64)],
        }
    }

    /// Puts a thing on a shelf, from where it was.
    pub fn put(&mut self, thing: u32, shelf: usize) {
        let (from, place) = self.at[thing as usize];
        if from == shelf as u32 {
            return;
        }
        if from != NOWHERE {
            let list = &mut self.lists[from as usize];
            list.swap_remove(place as usize);
            match list.get(place as usize) {
                Some(other) => self.at[*other as usize].1 = place,
                None if list.is_empty() => self.filled[from as usize / 64] &= !(1 << (from % 64)),
                None => {}
            }
        }
        self.at[thing as usize] = (shelf as u32, self.lists[shelf].len() as u32);
        self.lists[shelf].push(thing);
        self.filled[shelf / 64] |= 1 << (shelf % 64);
    }

    /// What is on a shelf.
    pub fn on(&self, shelf: usize) -> &[u32] {
        &self.lists[shelf]
    }

    /// The first shelf of these that is not empty.
    pub fn first(&self, shelves: std::ops::Range<usize>) -> Option<usize> {
        let mut next = shelves.start;
        while next < shelves.end {
            let word = self.filled[next / 64] >> (next % 64);
            if word != 0 {
                return Some(next + word.trailing_zeros() as usize).filter(|shelf| *shelf < shelves.end);
            }
            next = (next / 64 + 1) * 64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Shelves {
        /// The shelf of a thing.
        pub fn shelf(&self, thing: u32) -> u32 {
            self.at[thing as usize].0
        }
    }

    #[test]
    fn things_are_where_they_were_put() {
        let mut shelves = Shelves::new(200, 5);
        for (thing, shelf) in [(0, 3), (1, 3), (2, 199), (3, 3), (0, 130), (1, 3)] {
            shelves.put(thing, shelf);
        }
        assert_eq!((shelves.on(3), shelves.on(130), shelves.on(199)), (&[3, 1][..], &[0][..], &[2][..]));
        assert_eq!([0, 4, 131, 199].map(|from| shelves.first(from..200)), [Some(3), Some(130), Some(199), Some(199)]);
        assert_eq!((shelves.first(4..130), shelves.first(200..200)), (None, None));
        shelves.put(1, 0);
        shelves.put(3, 0);
        assert_eq!((shelves.on(3), shelves.first(1..200)), (&[][..], Some(130)));
    }
}
