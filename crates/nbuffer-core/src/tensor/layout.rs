//! Where the data of a padded tensor lies, and walking it run by run.
//!
//! A tensor with padding is a nest of levels: some steps before, the data, some steps after, where a step is
//! one whole inner level. Dimensions whose inner neighbour has no padding are contiguous with it and merge,
//! so that most tensors have two or three levels and long runs:
//!
//! ```text
//! shape (1, 230, 240, 4), padding H(3, 3) W(3, 13) C(0, 1)
//!
//! level 0   r g b .            3 data elements and 1 of padding: a run
//! level 1   3 . 224 . 13       steps of 4 elements: a row
//! level 2   3 . 224 . 3        steps of 960 elements: an image
//! level 3   1                  steps of 220,800 elements: the batch
//! ```

use super::TensorInfo;
use super::info::MAX_RANK;

/// Runs shorter than this are converted many at a time in a block, and spread out (or gathered) from there.
const SHORT_RUN: usize = 64;

/// Elements of such a block; small enough to stay in the first-level cache with its source. A multiple of
/// three, for pixels.
pub(super) const BLOCK: usize = 1536;

/// One level of the nest: counts of steps, each the whole of the next inner level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    before: usize,
    len: usize,
    after: usize,
    /// Elements of one step without padding.
    data_step: usize,
    /// Elements of one step with padding.
    padded_step: usize,
}

/// The innermost level of the usual image input: three channels padded to four.
const PIXEL: Level = Level { before: 0, len: 3, after: 1, data_step: 1, padded_step: 1 };

impl Level {
    /// A level of `len` pixels as of [`PIXEL`], without padding.
    pub(super) fn pixels(len: usize) -> Self {
        Level { before: 0, len, after: 0, data_step: 3, padded_step: 4 }
    }

    fn data_len(self) -> usize {
        self.len * self.data_step
    }

    fn padded_len(self) -> usize {
        (self.before + self.len + self.after) * self.padded_step
    }

    /// For each repeat of this level: fills its padding with `pad` and calls `convert` with its data, and
    /// where that belongs. There is at least one element of data.
    #[inline(always)]
    pub(super) fn write_each<T>(
        self,
        data: &[T],
        padded: &mut [i8],
        pad: i8,
        mut convert: impl FnMut(&[T], &mut [i8]),
    ) {
        let repeats = data.chunks_exact(self.data_len()).zip(padded.chunks_exact_mut(self.padded_len()));
        for (data, padded) in repeats {
            let (before, rest) = padded.split_at_mut(self.before * self.padded_step);
            let (middle, after) = rest.split_at_mut(self.len * self.padded_step);
            before.fill(pad);
            after.fill(pad);
            convert(data, middle);
        }
    }

    /// For each repeat of this level: calls `convert` with what is within its padding, and its data. There is
    /// at least one element of data.
    fn read_each<T>(self, padded: &[i8], data: &mut [T], mut convert: impl FnMut(&[i8], &mut [T])) {
        let repeats = padded.chunks_exact(self.padded_len()).zip(data.chunks_exact_mut(self.data_len()));
        for (padded, data) in repeats {
            convert(&padded[self.before * self.padded_step..][..self.len * self.padded_step], data);
        }
    }
}

/// The nest of levels of one tensor, innermost first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    levels: [Level; MAX_RANK],
    n_levels: usize,
}

impl Layout {
    pub(super) fn of(info: &TensorInfo) -> Self {
        let mut levels = [Level::default(); MAX_RANK];
        let mut current = 0;
        levels[0] = Level { before: 0, len: 1, after: 0, data_step: 1, padded_step: 1 };
        for (&padded_len, &(before, after)) in info.shape().iter().zip(info.padding()).rev() {
            let len = padded_len - before - after;
            let inner = levels[current];
            if inner.before == 0 && inner.after == 0 {
                let step = inner.len;
                levels[current] =
                    Level { before: before * step, len: len * step, after: after * step, ..inner };
            } else {
                current += 1;
                let (data_step, padded_step) = (inner.data_len(), inner.padded_len());
                levels[current] = Level { before, len, after, data_step, padded_step };
            }
        }
        Layout { levels, n_levels: current + 1 }
    }

    fn levels(&self) -> &[Level] {
        &self.levels[..self.n_levels]
    }

    /// Converts `data` into the unpadded part of `padded` and fills the rest with `pad`.
    ///
    /// `data` and `padded` have the unpadded and the padded number of elements.
    pub(super) fn write<T>(&self, data: &[T], padded: &mut [i8], pad: i8, fill: impl Fill<T>) {
        if data.is_empty() {
            padded.fill(pad);
        } else {
            write(self.levels(), data, padded, pad, &fill);
        }
    }

    /// Converts the unpadded part of `padded` into `data`; the mirror of [`Layout::write`].
    ///
    /// `convert` gets slices of equal length: whole runs, in order.
    pub(super) fn read<T>(&self, padded: &[i8], data: &mut [T], convert: impl Fn(&[i8], &mut [T])) {
        if !data.is_empty() {
            read(self.levels(), padded, data, &convert);
        }
    }
}

/// How elements become the integers of a padded tensor.
pub(super) trait Fill<T> {
    /// Converts whole runs of the innermost level. The slices have equal lengths.
    fn runs(&self, data: &[T], integers: &mut [i8]);

    /// Converts rows of pixels with three channels into rows of pixels with four, the fourth being `pad` like
    /// the padding of the row: the usual image input, where doing all that in one loop pays.
    fn pixel_rows(&self, row: Level, data: &[T], padded: &mut [i8], pad: i8) {
        row.write_each(data, padded, pad, |data, padded| write_short_runs(PIXEL, data, padded, pad, self));
    }
}

/// Writes repeats of the outermost of `levels`.
fn write<T>(levels: &[Level], data: &[T], padded: &mut [i8], pad: i8, fill: &impl Fill<T>) {
    match *levels {
        [] => {}
        [PIXEL, row] => fill.pixel_rows(row, data, padded, pad),
        [run] if run.len < SHORT_RUN => write_short_runs(run, data, padded, pad, fill),
        [run] => run.write_each(data, padded, pad, |data, padded| fill.runs(data, padded)),
        [ref inner @ .., level] => {
            level.write_each(data, padded, pad, |data, padded| write(inner, data, padded, pad, fill));
        }
    }
}

fn write_short_runs<T>(run: Level, data: &[T], padded: &mut [i8], pad: i8, fill: &(impl Fill<T> + ?Sized)) {
    let mut block = [0; BLOCK];
    let n_runs = BLOCK / run.len;
    let blocks = data.chunks(n_runs * run.len).zip(padded.chunks_mut(n_runs * run.padded_len()));
    for (data, padded) in blocks {
        let block = &mut block[..data.len()];
        fill.runs(data, block);
        run.write_each(block, padded, pad, |data, padded| padded.copy_from_slice(data));
    }
}

/// Reads repeats of the outermost of `levels`.
fn read<T>(levels: &[Level], padded: &[i8], data: &mut [T], convert: &impl Fn(&[i8], &mut [T])) {
    match *levels {
        [] => {}
        [run] if run.len < SHORT_RUN => read_short_runs(run, padded, data, convert),
        [run] => run.read_each(padded, data, convert),
        [ref inner @ .., level] => {
            level.read_each(padded, data, |padded, data| read(inner, padded, data, convert));
        }
    }
}

fn read_short_runs<T>(run: Level, padded: &[i8], data: &mut [T], convert: &impl Fn(&[i8], &mut [T])) {
    let mut block = [0; BLOCK];
    let n_runs = BLOCK / run.len;
    let blocks = padded.chunks(n_runs * run.padded_len()).zip(data.chunks_mut(n_runs * run.len));
    for (padded, data) in blocks {
        let block = &mut block[..data.len()];
        run.read_each(padded, block, |padded, data| data.copy_from_slice(padded));
        convert(block, data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    fn levels(shape: &[usize], padding: &[(usize, usize)]) -> Vec<(usize, usize, usize)> {
        let info = TensorInfo::new("t", shape, padding, 1.0, 0, DType::I8).unwrap();
        Layout::of(&info).levels().iter().map(|l| (l.before, l.len, l.after)).collect()
    }

    #[test]
    fn an_image_with_padded_channels_has_a_level_per_dimension() {
        let resnet = levels(&[1, 230, 240, 4], &[(0, 0), (3, 3), (3, 13), (0, 1)]);
        assert_eq!(resnet, [(0, 3, 1), (3, 224, 13), (3, 224, 3), (0, 1, 0)]);
    }

    #[test]
    fn dimensions_without_inner_padding_merge() {
        assert_eq!(levels(&[2, 3, 4, 5], &[(0, 0); 4]), [(0, 120, 0)]);
        assert_eq!(levels(&[2, 6, 4, 5], &[(0, 0), (1, 2), (0, 0), (0, 0)]), [(20, 60, 40), (0, 2, 0)]);
        assert_eq!(levels(&[], &[]), [(0, 1, 0)]);
    }

    #[test]
    fn eight_padded_dimensions_keep_eight_levels() {
        assert_eq!(levels(&[3; 8], &[(1, 1); 8]), [(1, 1, 1); 8]);
    }
}
