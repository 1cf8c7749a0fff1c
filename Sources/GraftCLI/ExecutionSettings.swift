// How networks are computed: the option that every command that runs one has.

import ArgumentParser
import Graft
import GraftCache
import GraftExecution

/// The options of a run's arithmetic.
struct ExecutionSettings: ParsableArguments {
    enum Closeness: String, ExpressibleByArgument, CaseIterable {
        case exact
        case `default`

        var accuracy: Accuracy { self == .exact ? .exact : .default }
    }

    enum Numbers: String, ExpressibleByArgument, CaseIterable {
        case f32
        case bf16
        case int8

        var precision: Precision {
            switch self {
            case .f32: .f32
            case .bf16: .bf16
            case .int8: .int8
            }
        }
    }
    enum Parts: String, ExpressibleByArgument, CaseIterable {
        case auto
        case whole
        case photos

        var division: Division {
            switch self {
            case .auto: .automatic
            case .whole: .whole
            case .photos: .photos
            }
        }
    }

    @Option(
        help: ArgumentHelp(
            "How 3×3 convolutions are computed: `exact` as the sums that define them, `default` also with fewer multiplications (Winograd) where that is faster."
        ))
    var accuracy: Closeness = .default

    @Option(
        help: ArgumentHelp(
            "What numbers are multiplied: `f32`, or where the processor has instructions for it `bf16` (half the memory, about three significant digits) or `int8` (a quarter, of a model that `graft quantize` wrote)."
        ))
    var precision: Numbers = .f32

    @Option(
        help: ArgumentHelp(
            "How a batch is computed: `whole`, all threads at one layer, or by `photos`, each on a thread of its own; by itself as the weights are."
        ))
    var division: Parts = .auto

    func options(measures: Bool = false) -> ExecutionOptions {
        if let reason = precision.precision.reasonOff {
            Terminal.say("note: computing in f32: \(reason)")
        }
        var options = ExecutionOptions(
            accuracy: accuracy.accuracy,
            memory: Self.memory(measures: measures),
            precision: precision.precision)
        options.division = division.division
        return options
    }

    /// What was measured on this machine, and the folder of prepared weights.
    static func memory(measures: Bool = false) -> any PlanMemory {
        MeasuredChoices(cacheFolder: Cache().root, measures: measures)
    }
}
