//! The little statistics that the figures need.

/// The smallest value that at least `share` of all values do not exceed (nearest rank).
pub(crate) fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rank: between 0 and the number of values"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// A mean with the half width of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mean {
    pub(crate) value: f64,
    pub(crate) half_width: f64,
}

impl Mean {
    /// The mean of paired differences, by Student's t; needs two values at least.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "some dozen rounds")]
        let n = values.len() as f64;
        let freedom = values.len().checked_sub(1).filter(|freedom| *freedom > 0)?;
        let value = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|x| (x - value).powi(2)).sum::<f64>() / (n - 1.0);
        Some(Self {
            value,
            half_width: t95(freedom) * (variance / n).sqrt(),
        })
    }
}

/// Two-sided 95 % quantiles of Student's t by degrees of freedom (any table of statistics).
fn t95(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
        2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048,
        2.045, 2.042,
    ];
    TABLE.get(freedom.saturating_sub(1)).copied().unwrap_or(1.96)
}

#[cfg(test)]
mod tests {
    use super::{Mean, percentile};

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 0.99), Some(99.0));
        assert_eq!(percentile(&values, 0.5), Some(50.0));
        assert_eq!(percentile(&[7.0], 0.99), Some(7.0));
        assert_eq!(percentile(&[], 0.99), None);
    }

    #[test]
    fn the_interval_of_a_mean_matches_a_hand_calculation() {
        // Variance 1 over 3 values, t = 4.303: 4.303 / sqrt(3).
        let mean = Mean::of(&[1.0, 2.0, 3.0]).unwrap();
        assert!((mean.value - 2.0).abs() < 1e-9);
        assert!((mean.half_width - 2.4843).abs() < 1e-3);
        assert_eq!(Mean::of(&[1.0]), None);
    }
}
