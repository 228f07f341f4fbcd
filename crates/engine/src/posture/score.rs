//! From verdicts to controls, and from controls to a score.

use yagura_event::Severity;

/// Results of one check over all its resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckStatus {
    /// Resources that pass.
    pub pass: u64,
    /// Resources that fail.
    pub fail: u64,
    /// Resources that cannot be judged.
    pub error: u64,
    /// Resources that it does not apply to.
    pub not_applicable: u64,
    /// Resources that fail and are excepted.
    pub excepted: u64,
}

impl CheckStatus {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            pass: self.pass + other.pass,
            fail: self.fail + other.fail,
            error: self.error + other.error,
            not_applicable: self.not_applicable + other.not_applicable,
            excepted: self.excepted + other.excepted,
        }
    }

    /// What counts as judged: an error is no pass, and stays in the denominator.
    fn judged(self) -> u64 {
        self.pass + self.fail + self.error
    }
}

/// Whether a control is judged by checks or by people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By checks.
    Automated,
    /// By people; its checks are advice.
    Manual,
}

/// A control and what its checks say.
#[derive(Clone, Copy, Debug)]
pub struct ControlResult {
    /// By whom it is judged.
    pub mode: Mode,
    /// The highest severity of its checks, which is its weight.
    pub severity: Severity,
    /// The results of its checks together.
    pub results: CheckStatus,
}

/// The status of a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlStatus {
    /// Everything passes.
    Pass,
    /// Something fails.
    Fail,
    /// A person has to look.
    Manual,
    /// Nothing fails, and something cannot be judged.
    Error,
    /// Nothing that it applies to is there.
    NotApplicable,
    /// Nothing fails but what is excepted, and nothing passes.
    Excepted,
}

/// The status of a control. An error or a manual control is never a pass.
pub fn control_status(control: &ControlResult) -> ControlStatus {
    let CheckStatus {
        pass,
        fail,
        error,
        excepted,
        ..
    } = control.results;
    match control.mode {
        Mode::Manual => ControlStatus::Manual,
        Mode::Automated if fail > 0 => ControlStatus::Fail,
        Mode::Automated if error > 0 => ControlStatus::Error,
        Mode::Automated if pass > 0 => ControlStatus::Pass,
        Mode::Automated if excepted > 0 => ControlStatus::Excepted,
        Mode::Automated => ControlStatus::NotApplicable,
    }
}

/// How many controls were judged automatically, of how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Controls with a result of checks.
    pub automated: u64,
    /// Controls.
    pub of: u64,
}

/// A framework's result.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rollup {
    /// Severity-weighted mean of the controls' ratios of passing resources, 0 to 100; `None` when no control was
    /// judged.
    pub score: Option<f64>,
    /// Controls by status.
    pub pass: u64,
    /// See [`ControlStatus::Fail`].
    pub fail: u64,
    /// See [`ControlStatus::Manual`].
    pub manual: u64,
    /// See [`ControlStatus::Error`].
    pub error: u64,
    /// See [`ControlStatus::NotApplicable`].
    pub not_applicable: u64,
    /// See [`ControlStatus::Excepted`].
    pub excepted: u64,
    /// What the score speaks of.
    pub coverage: Coverage,
}

/// How much a control counts.
fn weight(severity: Severity) -> f64 {
    match severity {
        Severity::Info => 0.5,
        Severity::Low => 1.0,
        Severity::Medium => 3.0,
        Severity::High => 7.0,
        Severity::Critical => 10.0,
    }
}

/// Sums up the controls of a framework.
pub fn roll_up<'c>(controls: impl IntoIterator<Item = &'c ControlResult>) -> Rollup {
    let mut rollup = Rollup::default();
    let (mut sum, mut weights) = (0.0, 0.0);
    for control in controls {
        rollup.coverage.of += 1;
        let status = control_status(control);
        *match status {
            ControlStatus::Pass => &mut rollup.pass,
            ControlStatus::Fail => &mut rollup.fail,
            ControlStatus::Manual => &mut rollup.manual,
            ControlStatus::Error => &mut rollup.error,
            ControlStatus::NotApplicable => &mut rollup.not_applicable,
            ControlStatus::Excepted => &mut rollup.excepted,
        } += 1;
        let judged = control.results.judged();
        if control.mode == Mode::Automated && judged > 0 {
            rollup.coverage.automated += 1;
            #[expect(
                clippy::cast_precision_loss,
                reason = "a ratio of counts of resources, shown with one decimal"
            )]
            let ratio = control.results.pass as f64 / judged as f64;
            sum += weight(control.severity) * ratio;
            weights += weight(control.severity);
        }
    }
    rollup.score = (weights > 0.0).then(|| 100.0 * sum / weights);
    rollup
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(severity: Severity, pass: u64, fail: u64, error: u64) -> ControlResult {
        let results = CheckStatus {
            pass,
            fail,
            error,
            ..CheckStatus::default()
        };
        ControlResult {
            mode: Mode::Automated,
            severity,
            results,
        }
    }

    #[test]
    fn errors_stay_in_the_denominator_and_manual_controls_out_of_the_score() {
        let manual = ControlResult {
            mode: Mode::Manual,
            ..control(Severity::Critical, 0, 5, 0)
        };
        let controls = [
            control(Severity::Critical, 3, 1, 0),
            control(Severity::Medium, 1, 0, 1),
            control(Severity::High, 0, 0, 0),
            manual,
        ];
        let rollup = roll_up(&controls);
        let expected = 100.0 * (10.0 * 0.75 + 3.0 * 0.5) / 13.0;
        assert!((rollup.score.unwrap() - expected).abs() < 1e-9);
        assert_eq!(
            (
                rollup.pass,
                rollup.fail,
                rollup.error,
                rollup.manual,
                rollup.not_applicable
            ),
            (0, 1, 1, 1, 1)
        );
        assert_eq!(rollup.coverage, Coverage { automated: 2, of: 4 });
    }

    #[test]
    fn nothing_judged_has_no_score() {
        assert_eq!(roll_up(&[control(Severity::Low, 0, 0, 0)]).score, None);
        assert_eq!(
            control_status(&control(Severity::Low, 1, 0, 1)),
            ControlStatus::Error
        );
        let results = CheckStatus {
            excepted: 1,
            ..CheckStatus::default()
        };
        let excepted = ControlResult {
            mode: Mode::Automated,
            severity: Severity::Low,
            results,
        };
        assert_eq!(control_status(&excepted), ControlStatus::Excepted);
    }
}
