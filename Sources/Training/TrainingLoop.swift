// Epochs over samples: forward, loss, backward, step, validate.

import GraftNetworks
import GraftTensors

/// How one parameter's updates differ from the others'.
struct Pace {
    /// Its share of the learning rate.
    var scale = 1.0
    /// Whether it decays: matrices and kernels do, biases and normalisations do not.
    var decays = true
    /// The first epoch in which it learns, counted from 0.
    var start = 0
}

/// The state of a run between epochs.
struct TrainingLoop<Goal: Objective> {
    let learner: any Learner
    let options: TrainingOptions
    let objective: Goal
    let shape: Shape
    /// Told the steps of an epoch as they are done.
    var progress: (_ done: Int, _ total: Int, _ epoch: Int) -> Void = { _, _, _ in }
    private let paces: [Pace]
    private let pace: (Parameter) -> Pace
    let crew: any Crew
    let gradientSum: GradientSum?
    var random: RandomSource
    private var optimizer: Optimizer
    private var average: [[Float]] = []
    /// What learns.
    let parameters: [Parameter]
    /// What a run leaves behind: what learns, then the running statistics that move.
    let kept: [Parameter]
    /// The photos that stand in for those that a ragged batch lacks where BatchNorm learns: its
    /// statistics are of photos, never of empty rows.
    private(set) var standIns: [Int] = []
    /// The epochs that are done.
    private(set) var history: [EpochRecord] = []
    /// The index of the best of them.
    private(set) var best = 0
    /// The weights after it; a head that is calibrated becomes a part of them.
    var bestWeights: [[Float]] = []

    init(
        learner: any Learner, options: TrainingOptions, objective: Goal, shape: Shape,
        random: RandomSource, crew: any Crew = Alone(),
        pace: @escaping (Parameter) -> Pace = { _ in Pace() }
    ) throws {
        self.learner = learner
        self.options = options
        self.objective = objective
        self.shape = shape
        self.random = random
        self.crew = crew
        parameters = learner.trainable
        kept = parameters + learner.statistics
        gradientSum =
            crew.count > 1
            ? GradientSum(crew, count: parameters.reduce(0) { $0 + $1.shape.count }) : nil
        paces = parameters.map(pace)
        self.pace = pace
        optimizer = Optimizer(options.optimizer, counts: parameters.map(\.shape.count))
    }

    /// The number of epochs since the best.
    var sinceBest: Int { history.isEmpty ? 0 : history.count - 1 - best }
    /// The number of epochs that are done. A head that came from elsewhere is epoch 0.
    var done: Int { history.last?.epoch ?? 0 }

    /// One pass over the training photos in a new order, and one over the validation photos.
    mutating func epoch(_ training: Samples, _ validation: Samples) throws -> EpochRecord {
        let batches = batches(training.items)
        let steps = batches.count
        let order = batches.flatMap { $0.flatMap { $0 } }
        begin(order)
        let factor = options.schedule.factor(losses: history.compactMap(\.validationLoss))
        var total = 0.0
        var met = EpochTotals(objective.nothingMet)
        var rate = history.last?.learningRate ?? 0
        let mixing = Mixing(options)
        // What this process prepares of each batch, in the order in which it will.
        let own = batches.flatMap { group in
            group.flatMap { batch in
                let blends = crew.count > 1 && mixing.blends(batch.count)
                return crew.own(batch) + (blends ? crew.own(Mixing.partners(batch)) : [])
            }
        }
        let ahead = training.ahead(own, view: done + 1)
        for (number, group) in batches.enumerated() {
            let size = group.reduce(0) { $0 + $1.count }
            var sums: [[Float]] = []
            for photos in group {
                try Task.checkCancellation()
                let before = met.batchLoss
                total += try gradients(training, photos, ahead, &met)
                if let loss = met.batchLoss, !loss.isFinite {
                    throw diverged(
                        .loss, loss, step: number + 1, steps: steps,
                        before: before ?? history.last?.trainingLoss, rate)
                }
                if options.accumulate > 1 {
                    try add(&sums, share: Float(photos.count) / Float(size))
                }
            }
            rate =
                factor
                * options.schedule.rate(
                    peak: options.learningRate, step: optimizer.step,
                    total: options.epochs * steps, warmup: options.warmupSteps)
            try step(rate, sums)
            progress(number + 1, steps, done + 1)
        }
        try met.join(crew, &total, images: order.count)
        return try finishEpoch(
            loss: total / Double(max(order.count, 1)),
            accuracy: objective.measure(of: met.met, images: order.count), rate: rate, steps: steps,
            validation)
    }

    /// Judges the weights that are there as epoch 0: a head from elsewhere may be the best already.
    mutating func begin(_ training: Samples, _ validation: Samples) throws -> EpochRecord {
        let own = try evaluate(training)
        return try finishEpoch(
            loss: own.loss, accuracy: own.measure, rate: 0, validation, epoch: 0)
    }

    /// Takes weights that came from elsewhere as an epoch of their own.
    mutating func adopt(
        _ weights: [[Float]], loss: Double, accuracy: Double?, penalty: Double,
        _ validation: Samples
    ) throws -> EpochRecord {
        try load(weights)
        return try finishEpoch(
            loss: loss, accuracy: accuracy, rate: 0, penalty: penalty, validation)
    }

    private mutating func finishEpoch(
        loss: Double, accuracy: Double?, rate: Double, penalty: Double? = nil, steps: Int? = nil,
        _ validation: Samples, epoch: Int? = nil
    ) throws -> EpochRecord {
        let number = epoch ?? done + 1
        func check(_ subject: Divergence.Subject, _ value: Double?) throws {
            guard let value, !value.isFinite else { return }
            throw diverged(subject, value, epoch: number, steps: steps, before: loss, rate)
        }
        try check(.trainingLoss, loss)
        // The running mean of the weights is what is validated and kept, if one is wanted.
        let moving = average.isEmpty ? [] : try weights()
        if !average.isEmpty { try load(average) }
        let score = validation.items.isEmpty ? nil : try evaluate(validation)
        try check(.validationLoss, score?.loss)
        try check(.weight, try brokenWeight())
        let record = EpochRecord(
            epoch: number, trainingLoss: loss, trainingAccuracy: accuracy,
            validationLoss: score.flatMap { $0.isLossKnown ? $0.loss : nil },
            validationAccuracy: score?.measure,
            learningRate: rate, penalty: penalty)
        if history.isEmpty || record.isBetter(than: history[best]) {
            best = history.count
            bestWeights = try weights()
        }
        if !average.isEmpty { try load(moving) }
        history.append(record)
        return record
    }

    /// The error of a number that is none.
    private func diverged(
        _ subject: Divergence.Subject, _ value: Double, epoch: Int? = nil, step: Int? = nil,
        steps: Int?, before: Double?, _ rate: Double
    ) -> TrainingError {
        .diverged(
            Divergence(
                subject, value, epoch: epoch ?? done + 1, step: step, steps: steps, before: before,
                learningRate: rate, best: done > 0 ? history[best].epoch : nil))
    }

    /// The first weight that is no finite number; nil if all are.
    private func brokenWeight() throws -> Double? {
        for index in kept.indices {
            var found: Float?
            try withKept(index) { values in found = values.first { !$0.isFinite } }
            if let found { return Double(found) }
        }
        return nil
    }

    /// What holds for a whole epoch: which layers do not learn yet, and who stands in.
    private mutating func begin(_ order: [Int]) {
        guard !learner.statistics.isEmpty else { return }
        standIns = order
        let epoch = done
        learner.hold(
            Set(learner.statistics.filter { pace($0).start > epoch }.map(\.name)))
    }

    /// The batches of an epoch, step by step.
    private mutating func batches(_ items: [PhotoFolder.Item]) -> [[[Int]]] {
        objective.batches(of: items, using: &random).parts(of: options.accumulate)
    }

    /// Adds this batch's share to the gradients of a larger one.
    private func add(_ sums: inout [[Float]], share: Float) throws {
        if sums.isEmpty { sums = parameters.map { [Float](repeating: 0, count: $0.shape.count) } }
        for index in parameters.indices {
            try learner.withParameter(index) { _, gradient in
                sums[index].withUnsafeMutableBufferPointer { sum in
                    for element in gradient.indices { sum[element] += share * gradient[element] }
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
        var moves: [Optimizer.Move] = []
        for (index, pace) in paces.enumerated() where pace.start <= epoch {
            try learner.withParameter(index) { values, gradient in
                moves.append(
                    Optimizer.Move(
                        index, values: values, gradient: .init(gradient), scale: pace.scale,
                        decays: pace.decays))
            }
        }
        optimizer.update(moves)
        guard options.averaging > 0 else { return }
        if average.isEmpty { average = try weights() }
        let (keep, gain) = (Float(options.averaging), Float(1 - options.averaging))
        for index in kept.indices {
            try withKept(index) { values in
                average[index].withUnsafeMutableBufferPointer { mean in
                    for element in values.indices {
                        mean[element] = keep * mean[element] + gain * values[element]
                    }
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
            try Task.checkCancellation()
            if standIns.isEmpty { begin(Array(training.items.indices)) }
            if order.count < options.batchSize {
                order += batches(training.items).flatMap { $0.flatMap { $0 } }
            }
            let photos = Array(order.prefix(options.batchSize))
            order.removeFirst(photos.count)
            let rate = 1e-7 * tenToThe(8 * Double(step) / Double(steps - 1))
            var met = EpochTotals(objective.nothingMet)
            let loss = try gradients(training, photos, nil, &met) / Double(photos.count)
            guard search.add(rate: rate, loss: loss) else { break }
            try self.step(rate, [])
        }
        try load(kept.weights)
        return search
    }

    /// Replaces what learns, and what moves with it.
    func load(_ weights: [[Float]]) throws {
        for (index, values) in weights.enumerated() {
            try withKept(index) { _ = $0.update(fromContentsOf: values) }
        }
    }

    /// Lends one of ``kept``.
    private func withKept(
        _ index: Int, _ body: (UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {
        guard index >= parameters.count else {
            return try learner.withParameter(index) { values, _ in try body(values) }
        }
        try learner.withStatistic(index - parameters.count, body)
    }

    /// Writes a checkpoint.
    func save(_ path: String, identity: String) throws {
        let notes = Checkpoint.Notes(
            identity: identity, history: history, best: best, step: optimizer.step, random: random)
        let checkpoint = Checkpoint(
            notes: notes, names: kept.map(\.name), current: try weights(), best: bestWeights,
            average: average)
        try checkpoint.write(optimizer, to: path)
    }

    /// Goes on from a checkpoint.
    mutating func restore(_ path: String, identity: String) throws {
        let checkpoint = try Checkpoint(
            path, identity: identity, names: kept.map(\.name),
            counts: kept.map(\.shape.count), optimizer: &optimizer)
        try load(checkpoint.current)
        history = checkpoint.notes.history
        best = checkpoint.notes.best
        bestWeights = checkpoint.best
        average = checkpoint.average
        random = checkpoint.notes.random
    }

    private func weights() throws -> [[Float]] {
        var result: [[Float]] = []
        for index in kept.indices {
            try withKept(index) { result.append(Array($0)) }
        }
        return result
    }
}
