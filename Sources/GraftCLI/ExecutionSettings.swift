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

    @Option(
        help: ArgumentHelp(
            "How 3×3 convolutions are computed: `exact` as the sums that define them, `default` also with fewer multiplications (Winograd) where that is faster."
        ))
    var accuracy: Closeness = .default

    func options(measures: Bool = false) -> ExecutionOptions {
        ExecutionOptions(
            accuracy: accuracy.accuracy,
            memory: MeasuredChoices(cacheFolder: Cache().root, measures: measures))
    }
}
