// The network of a run: the backbone with its new head, cut where the frozen part ends.

import GraftExecution
import GraftImages
import GraftNetworks
import GraftTensors

/// The network with its new head, cut in two.
struct Parts {
    let model: Graph
    let cut: Int
    let prefix: Graph?
    let suffix: Graph
    /// The nodes of ``suffix`` whose values the loss sees.
    let outputs: [Int]
    let trainable: Set<String>
    let trainableCount: Int
    /// The running statistics that move, if any do.
    let moving: MovingStatistics?
    /// One photo at the suffix's input.
    let shape: Shape

    init(
        _ network: Graph, outputs: [Int], _ input: TrainingInput, _ options: TrainingOptions
    ) throws {
        model = network
        for node in model.nodes[...model.features] {
            for parameter in node.parameters where input.weights[parameter.name] == nil {
                throw TrainingError.missingWeight(parameter.name)
            }
        }
        switch options.mode {
        // What comes after the first value that the head reads is computed, and does not learn.
        case .features: cut = model.firstRead(after: model.features)
        case .finetune where options.unfreezeFrom != nil:
            let name = options.unfreezeFrom ?? ""
            guard let count = model.stages(from: name) else {
                throw TrainingError.option(
                    "stage to unfreeze from",
                    expected:
                        "one of \(model.stages.filter { $0 != "head" }.joined(separator: ", "))",
                    found: name)
            }
            cut = model.cut(unfreezing: count)
        case .finetune(let count?): cut = model.cut(unfreezing: count)
        case .finetune(nil): cut = 0
        }
        depths = Parts.depths(model)
        if cut > 0 {
            let halves = try model.split(at: cut)
            prefix = halves.prefix
            suffix = halves.suffix
            let value = try halves.prefix.shapes(input: input.preprocessing.shape)[cut]
            shape = value.rank == 2 ? [1, value[1], 1, 1] : value
        } else {
            prefix = nil
            suffix = model
            shape = input.preprocessing.shape
        }
        // The suffix ends as the network does: its nodes are the last of the network's.
        let shift = model.nodes.count - suffix.nodes.count
        self.outputs = outputs.map { $0 - shift }
        let onlyHead = options.mode == .features
        let learned = suffix.nodes.filter { !onlyHead || $0.stage == "head" }
            .flatMap(\.parameters).filter { !$0.isBuffer }
        trainable = Set(learned.map(\.name))
        trainableCount = learned.reduce(0) { $0 + $1.shape.count }
        let norms = suffix.nodes.filter { if case .batchNorm = $0.op { true } else { false } }
        let statistics = norms.flatMap(\.parameters).filter {
            $0.role == .runningMean || $0.role == .runningVariance
        }
        moving =
            options.trainsNorms
            ? MovingStatistics(
                names: Set(statistics.map(\.name)),
                isUnbiased: options.optimizer.dialect == .torch) : nil
        if options.trainsNorms, statistics.isEmpty {
            throw TrainingError.option(
                "BatchNorm to train",
                expected:
                    "some in what learns; `--mode finetune --unfreeze …` says how much that is",
                found: "none")
        }
    }

    /// How many stages before the head each parameter is.
    let depths: [String: Int]

    private static func depths(_ graph: Graph) -> [String: Int] {
        let stages = graph.stages
        var result: [String: Int] = [:]
        for node in graph.nodes {
            let place = stages.firstIndex(of: node.stage) ?? 0
            for parameter in node.parameters { result[parameter.name] = stages.count - 1 - place }
        }
        return result
    }

    /// Lower stages learn slower and later, as the options ask; vectors do not decay.
    func pace(of parameter: Parameter, _ options: TrainingOptions) -> Pace {
        let depth = depths[parameter.name] ?? 0
        return Pace(
            scale: raised(options.stageDecay, Double(depth)),
            decays: parameter.shape.rank > 1, start: depth * options.gradual)
    }

    func batch(_ count: Int) -> Shape {
        var result = shape
        result[0] = count
        return result
    }
}

extension Graph {
    /// The earliest value up to `last` that a node after it reads.
    fileprivate func firstRead(after last: Int) -> Int {
        nodes[(last + 1)...].flatMap(\.inputs).filter { $0 <= last }.min() ?? last
    }
}
