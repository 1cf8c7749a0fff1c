// Epochs over samples: forward, loss, backward, step, validate.

import GraftNetworks
import GraftTensors

/// The state of a run between epochs.
struct TrainingLoop {
    /// What a set of samples scored.
    struct Score {
        var loss: Double
        var top5: Double
        var confusion: ConfusionMatrix
        /// What an epoch is judged by: see ``LearningTask/measure``.
        var measure = 0.0
        /// Photo by photo, the share of the softmax of each class, or of each label; of numbers,
        /// the answers.
        var probabilities: [[Float]] = []
    }

    /// How one parameter's updates differ from the others'.
    struct Pace {
        /// Its share of the learning rate.
        var scale = 1.0
        /// Whether it decays: matrices and kernels do, biases and normalisations do not.
        var decays = true
        /// The first epoch in which it learns, counted from 0.
        var start = 0
    }

    let learner: any Learner
    let options: TrainingOptions
    let task: LearningTask
    let classes: Int
    let shape: Shape
    private let loss: CrossEntropy
    private let labelWeights: [Float]?
    private let paces: [Pace]
    let crew: any Crew
    private let gradientSum: GradientSum?
    var random: RandomSource
    private var optimizer: Optimizer
    private var average: [[Float]] = []
    /// What learns.
    let parameters: [Parameter]
    /// The epochs that are done.
    private(set) var history: [EpochRecord] = []
    /// The index of the best of them.
    private(set) var best = 0
    /// The weights after it.
    private(set) var bestWeights: [[Float]] = []

    init(
        learner: any Learner, options: TrainingOptions, task: LearningTask = .classification,
        classes: Int, shape: Shape, random: RandomSource, classWeights: [Float]? = nil,
        crew: any Crew = Alone(),
        pace: (Parameter) -> Pace = { _ in Pace() }
    ) throws {
        self.learner = learner
        self.options = options
        self.task = task
        self.classes = classes
        self.shape = shape
        self.random = random
        loss = CrossEntropy(
            labelSmoothing: options.labelSmoothing,
            classWeights: task == .classification ? classWeights : nil)
        labelWeights = task == .multiLabel ? classWeights : nil
        self.crew = crew
        parameters = learner.trainable
        gradientSum =
            crew.count > 1
            ? GradientSum(crew, count: parameters.reduce(0) { $0 + $1.shape.count }) : nil
        paces = parameters.map(pace)
        optimizer = Optimizer(options.optimizer, counts: parameters.map(\.shape.count))
    }

    /// The number of epochs since the best.
    var sinceBest: Int { history.isEmpty ? 0 : history.count - 1 - best }
    /// The number of epochs that are done. A head that came from elsewhere is epoch 0.
    var done: Int { history.last?.epoch ?? 0 }

    /// One pass over the training photos in a new order, and one over the validation photos.
    mutating func epoch(_ training: Samples, _ validation: Samples) throws -> EpochRecord {
        let order = order(training.labels)
        let large = options.batchSize * options.accumulate
        let steps = (order.count + large - 1) / large
        let factor = options.schedule.factor(losses: history.compactMap(\.validationLoss))
        var total = 0.0
        var met = Met()
        var rate = 0.0
        // What this process computes of each batch, in the order in which it will.
        let own = stride(from: 0, to: order.count, by: large).flatMap { start in
            let group = Array(order[start..<min(start + large, order.count)])
            return stride(from: 0, to: group.count, by: options.batchSize).flatMap { from in
                crew.own(Array(group[from..<min(from + options.batchSize, group.count)]))
            }
        }
        let ahead = training.ahead(own, view: done + 1)
        for start in stride(from: 0, to: order.count, by: large) {
            let group = Array(order[start..<min(start + large, order.count)])
            var sums: [[Float]] = []
            for from in stride(from: 0, to: group.count, by: options.batchSize) {
                let photos = Array(group[from..<min(from + options.batchSize, group.count)])
                total += try gradients(training, photos, ahead, &met)
                guard total.isFinite else { throw TrainingError.diverged(epoch: done + 1) }
                if options.accumulate > 1 {
                    try add(&sums, share: Float(photos.count) / Float(group.count))
                }
            }
            rate =
                factor
                * options.schedule.rate(
                    peak: options.learningRate, step: optimizer.step,
                    total: options.epochs * steps, warmup: options.warmupSteps)
            try step(rate, sums)
        }
        try met.share(crew, &total, photos: order.count, width: classes)
        return try finishEpoch(
            loss: total / Double(max(order.count, 1)),
            accuracy: met.measure(task, photos: order.count), rate: rate, validation)
    }

    /// Judges the weights that are there as epoch 0: a head from elsewhere may be the best already.
    mutating func begin(_ training: Samples, _ validation: Samples) throws -> EpochRecord {
        let own = try evaluate(training)
        return try finishEpoch(
            loss: own.loss, accuracy: own.measure, rate: 0, validation, epoch: 0)
    }

    /// Takes weights that came from elsewhere as an epoch of their own.
    mutating func adopt(
        _ weights: [[Float]], loss: Double, accuracy: Double, penalty: Double,
        _ validation: Samples
    ) throws -> EpochRecord {
        try load(weights)
        return try finishEpoch(
            loss: loss, accuracy: accuracy, rate: 0, penalty: penalty, validation)
    }

    private mutating func finishEpoch(
        loss: Double, accuracy: Double, rate: Double, penalty: Double? = nil,
        _ validation: Samples, epoch: Int? = nil
    ) throws -> EpochRecord {
        // The running mean of the weights is what is validated and kept, if one is wanted.
        let moving = average.isEmpty ? [] : try weights()
        if !average.isEmpty { try load(average) }
        let score = validation.items.isEmpty ? nil : try evaluate(validation)
        let record = EpochRecord(
            epoch: epoch ?? done + 1, trainingLoss: loss, trainingAccuracy: accuracy,
            validationLoss: score?.loss, validationAccuracy: score?.measure,
            learningRate: rate, penalty: penalty)
        if history.isEmpty || record.isBetter(than: history[best]) {
            best = history.count
            bestWeights = try weights()
        }
        if !average.isEmpty { try load(moving) }
        history.append(record)
        return record
    }

    /// The order of an epoch's photos.
    private mutating func order(_ labels: [Int]) -> [Int] {
        guard options.balance == .sampling else { return random.permutation(labels.count) }
        var byClass = [[Int]](repeating: [], count: classes)
        for (photo, label) in labels.enumerated() { byClass[label].append(photo) }
        let present = byClass.filter { !$0.isEmpty }
        return labels.indices.map { _ in
            let photos = present[random.below(present.count)]
            return photos[random.below(photos.count)]
        }
    }

    /// The gradients of one batch, left in the learner.
    private mutating func gradients(
        _ training: Samples, _ photos: [Int], _ ahead: Prefetch<Result<[Float], any Error>>?,
        _ met: inout Met
    ) throws -> Double {
        var views = [Int](repeating: 0, count: photos.count)
        if training.isFresh {
            // Another view in every epoch; the first is not the photo as it is either.
            views = [Int](repeating: done + 1, count: photos.count)
        } else if training.views > 1 {
            for row in views.indices { views[row] = random.below(training.views) }
        }
        let share = self.share(training, photos)
        let (all, photos) = (photos.count, crew.own(photos))
        views = crew.own(views)
        let labels = photos.map { training.labels[$0] }
        var input = try batch(training, photos, views, ahead)
        let mixed = Mixing(options).apply(&input, labels, &random)
        let outputs = try learner.forward(input, dropoutSeed: random.next())
        var total = 0.0
        let gradient = outputs.withFloats { floats in
            Tensor(shape: outputs.shape) { target in
                guard task != .classification else {
                    met.correct += hits(floats, labels)
                    total = loss.sum(
                        logits: floats, classes: classes, labels: labels, mixed: mixed,
                        gradient: target)
                    return
                }
                let truth = photos.map { training.targets[$0] }
                for row in photos.indices {
                    met.answers.append(Array(floats[(row * classes)..<((row + 1) * classes)]))
                }
                met.targets += truth
                total = dense.sum(
                    floats, width: classes, targets: blended(truth, mixed?.share),
                    weights: labelWeights, gradient: target)
            }
        }
        let learner = learner
        guard let gradientSum else {
            try learner.backward(gradient, ready: nil)
            return total
        }
        try learner.backward(gradient) { index in
            try learner.withParameter(index) { _, slopes in
                try gradientSum.add(index, slopes, share: Float(share))
            }
        }
        try gradientSum.finish { index, sums in
            try learner.withParameter(index) { _, slopes in
                _ = slopes.update(fromContentsOf: sums)
            }
        }
        return photos.isEmpty ? 0 : total / Double(photos.count) * share * Double(all)
    }

    /// What this process' photos of a batch count, of all.
    private func share(_ samples: Samples, _ photos: [Int]) -> Double {
        func weight(_ photos: [Int]) -> Double {
            guard let weights = loss.classWeights else { return Double(photos.count) }
            return photos.reduce(0) { $0 + Double(weights[samples.labels[$1]]) }
        }
        let total = weight(photos)
        return total > 0 ? weight(crew.own(photos)) / total : 0
    }

    private var dense: DenseLoss {
        task == .regression
            ? .squaredError : .binaryCrossEntropy(labelSmoothing: options.labelSmoothing)
    }

    /// Each photo's targets with those of the one before it, as ``Mixing`` blends the photos.
    private func blended(_ targets: [[Float]], _ share: Double?) -> [[Float]] {
        guard let share else { return targets }
        let (own, other) = (Float(share), Float(1 - share))
        return targets.indices.map { row in
            zip(targets[row], targets[(row + targets.count - 1) % targets.count])
                .map { own * $0 + other * $1 }
        }
    }

    /// Adds this batch's share to the gradients of a larger one.
    private func add(_ sums: inout [[Float]], share: Float) throws {
        if sums.isEmpty { sums = parameters.map { [Float](repeating: 0, count: $0.shape.count) } }
        for index in parameters.indices {
            try learner.withParameter(index) { _, gradient in
                for element in gradient.indices {
                    sums[index][element] += share * gradient[element]
                }
            }
        }
    }

    /// Moves the weights along the gradients, or along `sums` where batches were added up.
    private mutating func step(_ rate: Double, _ sums: [[Float]]) throws {
        for (index, sum) in sums.enumerated() {
            try learner.withParameter(index) { _, gradient in
                _ = gradient.update(fromContentsOf: sum)
            }
        }
        let epoch = done
        try clip(learning: parameters.indices.filter { paces[$0].start <= epoch })
        optimizer.beginStep(learningRate: rate)
        for (index, pace) in paces.enumerated() where pace.start <= epoch {
            try learner.withParameter(index) { values, gradient in
                optimizer.update(
                    index, values: values, gradient: .init(gradient), scale: pace.scale,
                    decays: pace.decays)
            }
        }
        guard options.averaging > 0 else { return }
        if average.isEmpty { average = try weights() }
        let (keep, gain) = (Float(options.averaging), Float(1 - options.averaging))
        for index in parameters.indices {
            try learner.withParameter(index) { values, _ in
                for element in values.indices {
                    average[index][element] =
                        keep * average[index][element] + gain * values[element]
                }
            }
        }
    }

    /// Shortens all gradients together to the norm that the options allow.
    private func clip(learning: [Int]) throws {
        guard options.clipNorm > 0 else { return }
        var squares = 0.0
        for index in learning {
            try learner.withParameter(index) { _, gradient in
                for slope in gradient { squares += Double(slope) * Double(slope) }
            }
        }
        let factor = Float(options.clipNorm / (squares.squareRoot() + 1e-6))
        guard factor < 1 else { return }
        for index in learning {
            try learner.withParameter(index) { _, gradient in
                for element in gradient.indices { gradient[element] *= factor }
            }
        }
    }

    /// Steps whose rates grow from 1e-7 to 10 until the loss has clearly left its best, then all as
    /// it was (Smith 2015, arXiv:1506.01186).
    mutating func findRate(_ training: Samples, steps: Int = 100) throws -> RateSearch {
        let kept = (weights: try weights(), random: random, optimizer: optimizer, average: average)
        defer { (random, optimizer, average) = (kept.random, kept.optimizer, kept.average) }
        var search = RateSearch()
        var order: [Int] = []
        for step in 0..<steps {
            if order.count < options.batchSize { order += self.order(training.labels) }
            let photos = Array(order.prefix(options.batchSize))
            order.removeFirst(photos.count)
            let rate = 1e-7 * tenToThe(8 * Double(step) / Double(steps - 1))
            var met = Met()
            let loss = try gradients(training, photos, nil, &met) / Double(photos.count)
            guard search.add(rate: rate, loss: loss) else { break }
            try self.step(rate, [])
        }
        try load(kept.weights)
        return search
    }

    /// Replaces what learns.
    func load(_ weights: [[Float]]) throws {
        for (index, values) in weights.enumerated() {
            try learner.withParameter(index) { target, _ in
                _ = target.update(fromContentsOf: values)
            }
        }
    }

    /// Writes a checkpoint.
    func save(_ path: String, identity: String) throws {
        let notes = Checkpoint.Notes(
            identity: identity, history: history, best: best, step: optimizer.step, random: random)
        let checkpoint = Checkpoint(
            notes: notes, names: parameters.map(\.name), current: try weights(), best: bestWeights,
            average: average)
        try checkpoint.write(optimizer, to: path)
    }

    /// Goes on from a checkpoint.
    mutating func restore(_ path: String, identity: String) throws {
        let checkpoint = try Checkpoint(
            path, identity: identity, names: parameters.map(\.name),
            counts: parameters.map(\.shape.count), optimizer: &optimizer)
        try load(checkpoint.current)
        history = checkpoint.notes.history
        best = checkpoint.notes.best
        bestWeights = checkpoint.best
        average = checkpoint.average
        random = checkpoint.notes.random
    }

    private func weights() throws -> [[Float]] {
        var result: [[Float]] = []
        for index in parameters.indices {
            try learner.withParameter(index) { values, _ in result.append(Array(values)) }
        }
        return result
    }

    /// The photos as a batch; rows that a ragged last one lacks are zeros.
    func batch(
        _ samples: Samples, _ photos: [Int], _ views: [Int],
        _ ahead: Prefetch<Result<[Float], any Error>>? = nil
    ) throws -> Tensor {
        let size = samples.count
        return try Tensor(shape: shape) { target in
            for (row, photo) in photos.enumerated() {
                let place = UnsafeMutableBufferPointer(
                    rebasing: target[(row * size)..<((row + 1) * size)])
                if let ready = ahead?.next() {
                    _ = place.update(fromContentsOf: try ready.get())
                } else {
                    try samples.fill(photo, view: views[row], place)
                }
            }
        }
    }

    private func hits(_ logits: UnsafeBufferPointer<Float>, _ labels: [Int]) -> Int {
        labels.enumerated().count { row, label in
            Ranking.best(of: .init(rebasing: logits[(row * classes)..<((row + 1) * classes)]))
                == label
        }
    }
}
