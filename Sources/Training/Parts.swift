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
    let output: Int
    let trainable: Set<String>
    let trainableCount: Int
    /// The running statistics that move, if any do.
    let moving: MovingStatistics?
    /// One photo at the suffix's input.
    let shape: Shape

    init(_ input: TrainingInput, _ options: TrainingOptions) throws {
        let classes = input.classes.count
        guard classes > (input.task.hasClasses ? 1 : 0) else {
            throw TrainingError.option(
                "number of classes", expected: "2 or more", found: "\(classes)")
        }
        model =
            if input.task == .detection {
                try input.graph.withDetector(classes: classes, input: input.preprocessing.shape)
            } else if let embedding = options.embedding {
                try input.graph.withEmbedding(
                    size: embedding.size, hidden: options.head.hidden, dropout: options.dropout)
            } else {
                try input.graph.withHead(
                    classes: classes, hidden: options.head.hidden, dropout: options.dropout)
            }
        for node in model.nodes[...model.features] {
            for parameter in node.parameters where input.weights[parameter.name] == nil {
                throw TrainingError.missingWeight(parameter.name)
            }
        }
        switch options.mode {
        case .features where input.task == .detection:
            // The first map that the head reads: what comes after it is computed, and does not learn.
            let first = model.nodes.first { $0.name == "detector_around0" }
            cut = first?.inputs.first ?? 0
        case .features: cut = model.features
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
        output = suffix.logits ?? suffix.output
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
    func pace(of parameter: Parameter, _ options: TrainingOptions) -> TrainingLoop.Pace {
        let depth = depths[parameter.name] ?? 0
        return TrainingLoop.Pace(
            scale: raised(options.stageDecay, Double(depth)),
            decays: parameter.shape.rank > 1, start: depth * options.gradual)
    }

    func batch(_ count: Int) -> Shape {
        var result = shape
        result[0] = count
        return result
    }
}
