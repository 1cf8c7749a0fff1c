// One of several classes: softmax cross entropy on a linear head or one with a hidden layer.

import GraftImages
import GraftNetworks
import GraftTensors

/// The class of an image, which may be blended with another's.
struct ClassTarget: Sendable, Hashable {
    var index: Int
}

/// Learns the one class of each image.
struct Classification: Objective {
    typealias Metrics = ClassificationMetrics
    typealias Answer = ClassAnswer
    static let task = LearningTask.classification
    static let traits: TaskTraits = {
        var traits = TaskTraits(.oneClass, measure: "accuracy", subject: "classes") { _ in "classes"
        }
        traits.dataHint = "add --crops to learn from each box"
        traits.hasProbabilities = true
        traits.hasOptimum = true
        traits.isExclusive = true
        traits.activation = { $0 == 1 ? .sigmoid : .softmax }
        return traits
    }()

    let setting: ObjectiveSetting
    /// The weight of each class; nil where all count alike.
    private(set) var classWeights: [Float]?
    private var loss: CrossEntropy

    init(_ setting: ObjectiveSetting) {
        self.setting = setting
        loss = CrossEntropy(labelSmoothing: setting.options.labelSmoothing)
    }

    static func validate(
        _ options: TrainingOptions, settings: (any TaskSettings)?
    ) throws(TrainingError) {
        guard options.calibrates, options.head == .neighbours else { return }
        throw .option(
            "calibration", expected: "none for a knn head, which has no scores", found: "calibrate")
    }

    func network(on backbone: Graph, input: Shape) throws -> Graph {
        try backbone.withScores(setting)
    }

    mutating func prepare(training: [PhotoFolder.Item], validation: [PhotoFolder.Item]) {
        guard setting.options.balance == .weights else { return }
        classWeights = balance(training)
        loss.classWeights = classWeights
    }

    /// The weights with which all classes count alike.
    func balance(_ items: [PhotoFolder.Item]) -> [Float] {
        CrossEntropy.balanced(counts: counts(items))
    }

    func target(of item: PhotoFolder.Item, seen: ViewChange) -> ClassTarget {
        ClassTarget(index: item.classIndex)
    }

    /// Every image once, or classes drawn alike, their images with replacement.
    func batches(of items: [PhotoFolder.Item], using random: inout RandomSource) -> [[Int]] {
        let size = setting.options.batchSize
        guard setting.options.balance == .sampling else {
            return random.permutation(items.count).parts(of: size)
        }
        var byClass = [[Int]](repeating: [], count: setting.classes.count)
        for (image, item) in items.enumerated() { byClass[item.classIndex].append(image) }
        let present = byClass.filter { !$0.isEmpty }
        return items.indices.map { _ in
            let images = present[random.below(present.count)]
            return images[random.below(images.count)]
        }.parts(of: size)
    }

    func loss(
        of outputs: [OutputView], against batch: TargetBatch<ClassTarget>, learner: any Learner,
        gradients: [UnsafeMutableBufferPointer<Float>]
    ) -> Double {
        loss.sum(
            logits: outputs[0].values, classes: outputs[0].width,
            labels: batch.targets.map(\.index),
            mixed: batch.blend.map { ($0.others.map(\.index), $0.share) }, gradient: gradients[0])
    }

    func weight(of target: ClassTarget) -> Double {
        classWeights.map { Double($0[target.index]) } ?? 1
    }

    /// The number of images of an epoch that were right.
    struct Met: EpochTally {
        var correct = 0

        mutating func join(_ crew: any Crew, images: Int) throws {
            var sum = [Float(correct)]
            try sum.withUnsafeMutableBufferPointer { try crew.sum($0) }
            correct = Int(sum[0])
        }
    }

    var nothingMet: Met { Met() }

    func note(_ outputs: [OutputView], against targets: [ClassTarget], in met: inout Met) {
        met.correct += targets.enumerated().count { row, target in
            Ranking.best(of: outputs[0][row]) == target.index
        }
    }

    func measure(of met: Met, images: Int) -> Double? {
        Double(met.correct) / Double(max(images, 1))
    }
}

extension Graph {
    /// The network with a head that scores each class, label or value.
    func withScores(_ setting: ObjectiveSetting) throws -> Graph {
        try withHead(
            classes: setting.classes.count, hidden: setting.options.head.hidden,
            dropout: setting.options.dropout)
    }
}

extension Objective {
    /// The number of images of each class, by the facts about each image.
    func counts(_ items: [PhotoFolder.Item]) -> [Int] {
        setting.classes.indices.map { index in
            switch Self.traits.labelling {
            case .oneClass: items.count { $0.classIndex == index }
            case .labels: items.count { $0.targets[index] > 0 }
            case .values: items.count
            }
        }
    }

    /// Throws for the first class that no image is of.
    func require(_ training: [PhotoFolder.Item], reasons: [Int: String]) throws(TrainingError) {
        let names = setting.classes.dropLast(setting.unseen)
        for (index, (name, count)) in zip(names, counts(training)).enumerated() where count == 0 {
            throw .noPhotos(of: name, reason: reasons[index])
        }
    }
}
