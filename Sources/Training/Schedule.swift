// The learning rate over the steps of a run.

/// How the learning rate changes, evaluated at the step before its update, counted from 0.
public enum Schedule: String, Sendable, Hashable, Codable, CaseIterable {
    /// The same throughout.
    case constant
    /// A tenth after each third of the steps after warm-up.
    case step
    /// Half a cosine from the peak to 0 over the steps after warm-up (Keras' `CosineDecay`).
    case cosine
    /// From a 25th to the peak in the first 30 % and to a 250,000th in the rest, both along
    /// cosines (PyTorch's `OneCycleLR`); it is its own warm-up.
    case onecycle
    /// A tenth after each 3 epochs without a better validation loss.
    case plateau

    /// The rate at `step` of `total`, after a linear warm-up from 0 over `warmup` steps.
    /// ``plateau`` depends on what happened and is the peak here: see ``factor(losses:)``.
    package func rate(peak: Double, step: Int, total: Int, warmup: Int = 0) -> Double {
        if self == .onecycle { return peak * oneCycle(step, total) }
        if step < warmup { return peak * Double(step) / Double(warmup) }
        let span = max(total - warmup, 1)
        switch self {
        case .constant, .plateau, .onecycle: return peak
        case .step: return peak * tenToThe(-Double(min((step - warmup) * 3 / span, 2)))
        case .cosine:
            let done = min(Double(step - warmup) / Double(span), 1)
            return peak * 0.5 * (1 + cosineOf(Double.pi * done))
        }
    }

    /// What ``plateau`` makes of the validation losses so far: a tenth for every 3 epochs in a row
    /// that were not better than the best by 1e-4 (Keras' `ReduceLROnPlateau`).
    package func factor(losses: [Double]) -> Double {
        guard self == .plateau else { return 1 }
        var (best, waited, factor) = (Double.infinity, 0, 1.0)
        for loss in losses {
            if loss < best - 1e-4 {
                (best, waited) = (loss, 0)
            } else {
                waited += 1
                if waited >= 3 { (factor, waited) = (factor * 0.1, 0) }
            }
        }
        return factor
    }

    private func oneCycle(_ step: Int, _ total: Int) -> Double {
        let last = Double(max(total - 1, 1))
        let peak = max(0.3 * Double(total) - 1, 1e-9)
        func between(_ from: Double, _ to: Double, _ share: Double) -> Double {
            to + (from - to) / 2 * (1 + cosineOf(Double.pi * share))
        }
        let at = Double(min(step, total - 1))
        if at <= peak { return between(1 / 25, 1, at / peak) }
        return between(1, 1 / 25 / 1e4, (at - peak) / max(last - peak, 1e-9))
    }
}
