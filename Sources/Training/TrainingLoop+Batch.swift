// One batch: its images, what the network answers to them, the loss and the gradients.

import GraftTensors

/// What an epoch has met so far.
struct EpochTotals<Met: EpochTally> {
    /// What the task notes.
    var met: Met
    /// The mean loss of the last batch, over all processes; nil before the first.
    var batchLoss: Double?

    init(_ met: Met) { self.met = met }

    /// Puts together what the processes met; `total` is the sum of the losses.
    mutating func join(_ crew: any Crew, _ total: inout Double, images: Int) throws {
        guard crew.count > 1 else { return }
        // Losses as two floats each, so that nothing of a double is lost that counts.
        let high = Float(total)
        var sums = [high, Float(total - Double(high))]
        try sums.withUnsafeMutableBufferPointer { try crew.sum($0) }
        total = Double(sums[0]) + Double(sums[1])
        try met.join(crew, images: images)
    }
}

extension TrainingLoop {
    /// The gradients of one batch, left in the learner.
    mutating func gradients(
        _ training: Samples, _ photos: [Int], _ ahead: Prefetch<Result<[Float], any Error>>?,
        _ totals: inout EpochTotals<Goal.Met>
    ) throws -> Double {
        var views = [Int](repeating: 0, count: photos.count)
        if training.isFresh {
            // Another view in every epoch; the first is not the image as it is either.
            views = [Int](repeating: done + 1, count: photos.count)
        } else if training.views > 1 {
            for row in views.indices { views[row] = random.below(training.views) }
        }
        let mixing = Mixing(options).draw(photos.count, shape, &random)
        let share = try self.share(
            training, photos, views, mixing.map { ($0, photos: Mixing.partners(photos)) })
        let all = Double(photos.count)
        // Another process' images are prepared here too where they are blended into this one's.
        let partners = mixing == nil ? [] : crew.own(Mixing.partners(photos))
        let partnerViews = crew.own(Mixing.partners(views))
        let (photos, places) = (crew.own(photos), Mixing.partners(Array(photos.indices)))
        views = crew.own(views)
        var batch = TargetBatch(targets: try targets(training, photos, views))
        if let mixing {
            batch.blend = (try targets(training, partners, partnerViews), mixing.share)
        }
        var input = try self.batch(training, photos, views, of: Int(all), ahead)
        if let mixing {
            let alone = crew.count == 1
            let others =
                alone ? input : try self.batch(training, partners, partnerViews, of: nil, ahead)
            input = mixing.blend(input, others, alone ? places : Array(photos.indices))
        }
        let outputs = try learner.forward(input, dropoutSeed: random.next())
        var (total, gradients) = objective.slopes(
            of: outputs, batch, learner: learner, share: Float(share), in: &totals.met)
        let learner = learner
        guard let gradientSum else {
            totals.batchLoss = total / all
            try learner.backward(gradients, ready: nil)
            return total
        }
        total = photos.isEmpty ? 0 : total / Double(photos.count) * share * all
        // All must see a loss that is no number, or one would leave and the others wait for it.
        try gradientSum.begin(loss: Float(total / all))
        try learner.backward(gradients) { index in
            try learner.withParameter(index) { _, slopes in
                try gradientSum.add(index, slopes)
            }
        }
        totals.batchLoss = Double(
            try gradientSum.finish { index, sums in
                try learner.withParameter(index) { _, slopes in
                    _ = slopes.update(fromContentsOf: sums)
                }
            })
        return total
    }

    /// What the loss compares these views with.
    func targets(_ samples: Samples, _ photos: [Int], _ views: [Int]) throws -> [Goal.Target] {
        try zip(photos, views).map { photo, view in
            try objective.target(
                of: samples.items[photo], seen: samples.change(of: photo, view: view))
        }
    }

    /// What this process' images of a batch count, of all; with those that are blended into them.
    private func share(
        _ samples: Samples, _ photos: [Int], _ views: [Int],
        _ mixed: (draw: Mixing.Draw, photos: [Int])?
    ) throws -> Double {
        guard crew.count > 1 else { return 1 }
        func weights(_ photos: [Int], _ views: [Int]) throws -> [Double] {
            try targets(samples, photos, views).map { objective.weight(of: $0) }
        }
        let own = try weights(photos, views)
        let others = try mixed.map { try weights($0.photos, Mixing.partners(views)) }
        func sum(_ part: ([Double]) -> [Double]) -> Double {
            let first = part(own).reduce(0, +)
            guard let mixed, let others else { return first }
            let keeps = mixed.draw.share
            return keeps * first + (1 - keeps) * part(others).reduce(0, +)
        }
        let total = sum { $0 }
        return total > 0 ? sum { crew.own($0) } / total : 0
    }

    /// The images as a batch; rows that a ragged last one lacks are zeros, or who stands in. `all` are
    /// the images of the whole batch that is learned from.
    func batch(
        _ samples: Samples, _ photos: [Int], _ views: [Int], of all: Int? = nil,
        _ ahead: Prefetch<Result<[Float], any Error>>? = nil
    ) throws -> Tensor {
        let size = samples.count
        var others: [Int] = []
        if let all, !standIns.isEmpty {
            // Those of all processes are those of one: they too are dealt out in turns.
            others = crew.own(Array(0..<options.batchSize)).filter { $0 >= all }
                .map { standIns[($0 - all) % standIns.count] }
        }
        return try Tensor(shape: shape) { target in
            for (row, photo) in (photos + others).enumerated() {
                let place = UnsafeMutableBufferPointer(
                    rebasing: target[(row * size)..<((row + 1) * size)])
                if row >= photos.count {
                    try samples.fill(photo, view: samples.isFresh ? done + 1 : 0, place)
                } else if let ready = ahead?.next() {
                    _ = place.update(fromContentsOf: try ready.get())
                } else {
                    try samples.fill(photo, view: views[row], place)
                }
            }
        }
    }
}

extension Objective {
    /// The loss of a batch and the gradients of its outputs, times `share`; notes what was answered.
    fileprivate func slopes(
        of outputs: [Tensor], _ batch: TargetBatch<Target>, learner: any Learner, share: Float,
        in met: inout Met
    ) -> (total: Double, gradients: [Tensor]) {
        OutputView.lend(outputs[...]) { note($0, against: batch.targets, in: &met) }
        var total = 0.0
        let gradients = OutputView.gradients(of: outputs[...]) { views, slopes in
            total = loss(of: views, against: batch, learner: learner, gradients: slopes)
            // The mean over this process' images becomes its part of that over all.
            guard share != 1 else { return }
            for slope in slopes { for at in slope.indices { slope[at] *= share } }
        }
        return (total, gradients)
    }
}

extension OutputView {
    init(_ values: UnsafeBufferPointer<Float>, of shape: Shape) {
        self.values = values
        self.shape = Array(shape.dimensions.dropFirst())
        width = self.shape.reduce(1, *)
    }

    /// Lends the outputs of a batch.
    static func lend<R>(
        _ outputs: ArraySlice<Tensor>, _ before: [OutputView] = [],
        _ body: ([OutputView]) throws -> R
    ) rethrows -> R {
        guard let first = outputs.first else { return try body(before) }
        return try first.withFloats { floats in
            try lend(
                outputs.dropFirst(), before + [OutputView(floats, of: first.shape)], body)
        }
    }

    /// The gradients that `body` writes for the outputs that it is lent.
    static func gradients(
        of outputs: ArraySlice<Tensor>, _ views: [OutputView] = [],
        _ slopes: [UnsafeMutableBufferPointer<Float>] = [],
        _ body: ([OutputView], [UnsafeMutableBufferPointer<Float>]) -> Void
    ) -> [Tensor] {
        guard let first = outputs.first else {
            body(views, slopes)
            return []
        }
        var others: [Tensor] = []
        let gradient = first.withFloats { floats in
            Tensor(shape: first.shape) { target in
                others = gradients(
                    of: outputs.dropFirst(), views + [OutputView(floats, of: first.shape)],
                    slopes + [target], body)
            }
        }
        return [gradient] + others
    }
}
