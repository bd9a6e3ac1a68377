"""Thresholds from traces: no model, no run, no command line.

What there is for users, by the module where it stands:

- `trace`, `sequences`: `Trace` of the exits of each example, `SequenceTrace`, and their files.
- `request`: `answer(trace, Request(...))`, one way to every method.
- `certify`, `per_exit`: thresholds that keep a risk to a level, one for all exits or one for
  each, by the methods of `methods` and `conformal`.
- `ltt`, `crc`, `ucb`: the tests behind them; `ucb.betting_bound` for a bound of one's own;
  `bitsets`, means of many candidates by counting sets of examples; `descent`, walks.
- `empirical`: `choose_for_quality`, a tolerance in any quality, without a promise.
- `empirical`: `choose_for_depth`, a mean depth to keep to.
- `risks`: what an early answer costs, such as `brier_inconsistency`.
- `scores`: `fit_temperature`, `reliability`, `expected_calibration_error`, `auroc`, `brier`.
- `scores`: `fit_isotonic`, from a confidence to the chance of being right.
- `decay`: thresholds that fall with a token's position.
- `choice`, `trials`: what a threshold would have done, and what to expect of it on others.
"""
