//! Conversion of stored values to f32.

use half::{bf16, f16};
use safetensors::Dtype;

/// Side of the blocks in which a matrix is transposed: the input and output of a block fit into the
/// L1 cache.
const TILE: usize = 32;

/// Order of the output.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// As stored, row by row.
    Stored,
    /// The transpose of a matrix with that many columns.
    Transposed { columns: usize },
}

/// 8-bit integers with a scale per row, as f32.
///
/// This is a linear layer in compressed-tensors' format `int-quantized`, symmetric and per channel:
/// `weight` `[rows, columns]` and `weight_scale` `[rows, 1]`, `w = weight · weight_scale`.
pub(super) fn scaled(bytes: &[u8], scales: &[f32], order: Order) -> Vec<f32> {
    let mut values = each(bytes, order, |number| f32::from(i8::from_le_bytes(number)));
    let rows = scales.len().max(1);
    match order {
        Order::Stored => {
            let columns = (values.len() / rows).max(1);
            for (row, scale) in values.chunks_exact_mut(columns).zip(scales) {
                row.iter_mut().for_each(|value| *value *= scale);
            }
        }
        Order::Transposed { .. } => {
            for column in values.chunks_exact_mut(rows) {
                for (value, scale) in column.iter_mut().zip(scales) {
                    *value *= scale;
                }
            }
        }
    }
    values
}

/// Little-endian values as f32, or `None` for formats other than floats.
pub(super) fn floats(dtype: Dtype, bytes: &[u8], order: Order) -> Option<Vec<f32>> {
    Some(match dtype {
        Dtype::F32 => each(bytes, order, f32::from_le_bytes),
        Dtype::F16 => each(bytes, order, |number| f16::from_le_bytes(number).to_f32()),
        Dtype::BF16 => each(bytes, order, |number| bf16::from_le_bytes(number).to_f32()),
        Dtype::F64 => each(bytes, order, |number| f64::from_le_bytes(number) as f32),
        _ => return None,
    })
}

fn each<const N: usize>(bytes: &[u8], order: Order, value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<N>();
    match order {
        Order::Stored => numbers.iter().map(|&number| value(number)).collect(),
        Order::Transposed { columns } => transposed(numbers, columns, value),
    }
}

fn transposed<const N: usize>(
    numbers: &[[u8; N]],
    columns: usize,
    value: impl Fn([u8; N]) -> f32,
) -> Vec<f32> {
    let rows = numbers.len() / columns.max(1);
    let mut turned = vec![0.0; numbers.len()];
    for top in (0..rows).step_by(TILE) {
        for left in (0..columns).step_by(TILE) {
            let right = columns.min(left + TILE);
            for row in top..rows.min(top + TILE) {
                let stored = &numbers[row * columns + left..row * columns + right];
                for (column, &number) in (left..right).zip(stored) {
                    turned[column * rows + row] = value(number);
                }
            }
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_of_any_shape_is_turned() {
        for [rows, columns] in [
            [0, 0],
            [0, 3],
            [3, 0],
            [1, 1],
            [1, 70],
            [70, 1],
            [31, 33],
            [64, 65],
        ] {
            let stored: Vec<f32> = (0..rows * columns).map(|i| i as f32 - 7.5).collect();
            let bytes: Vec<u8> = stored.iter().flat_map(|x| x.to_le_bytes()).collect();
            let turned = floats(Dtype::F32, &bytes, Order::Transposed { columns }).unwrap();
            let expected: Vec<f32> = (0..columns)
                .flat_map(|column| (0..rows).map(move |row| (row, column)))
                .map(|(row, column)| stored[row * columns + column])
                .collect();
            assert_eq!(turned, expected, "{rows} x {columns}");
            assert_eq!(floats(Dtype::F32, &bytes, Order::Stored).unwrap(), stored);
        }
    }

    #[test]
    fn every_half_and_brain_float_is_read_as_what_it_is() {
        for pattern in 0..=u16::MAX {
            let bytes = pattern.to_le_bytes();
            let f16 = floats(Dtype::F16, &bytes, Order::Stored).unwrap()[0];
            let bf16 = floats(Dtype::BF16, &bytes, Order::Stored).unwrap()[0];
            assert_eq!(bf16.to_bits() >> 16, u32::from(pattern) | quiet(bf16));
            // Built from sign, exponent and fraction, as IEEE 754 gives them.
            let sign = if pattern >> 15 == 1 { -1.0 } else { 1.0 };
            let (exponent, fraction) = (i32::from(pattern >> 10 & 31), f32::from(pattern & 1023));
            let expected = match exponent {
                0 => sign * fraction * 2.0f32.powi(-24),
                31 if fraction == 0.0 => sign * f32::INFINITY,
                31 => f32::NAN,
                _ => sign * (1.0 + fraction / 1024.0) * 2.0f32.powi(exponent - 15),
            };
            assert!(f16 == expected || f16.is_nan() && expected.is_nan());
        }
    }

    #[test]
    fn whole_numbers_take_their_row_s_scale() {
        let bytes: Vec<u8> = [1_i8, -2, 127, -128, 0, 5].map(|n| n as u8).into();
        let scales = [0.5, 2.0];
        let stored = scaled(&bytes, &scales, Order::Stored);
        assert_eq!(stored, [0.5, -1.0, 63.5, -256.0, 0.0, 10.0]);
        let turned = scaled(&bytes, &scales, Order::Transposed { columns: 3 });
        assert_eq!(turned, [0.5, -256.0, -1.0, 0.0, 63.5, 10.0]);
        assert!(scaled(&[], &[], Order::Stored).is_empty());
    }

    /// The bit that turns a signalling NaN into a quiet one.
    fn quiet(value: f32) -> u32 {
        if value.is_nan() { 0x40 } else { 0 }
    }
}
