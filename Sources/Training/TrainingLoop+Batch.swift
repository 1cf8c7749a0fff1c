// One batch: its photos, what the network answers to them, the loss and the gradients.

import GraftTensors

extension TrainingLoop {
    /// The gradients of one batch, left in the learner.
    mutating func gradients(
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
        let mixing = Mixing(options).draw(photos.count, shape, &random)
        let share = self.share(
            training, photos, mixing.map { ($0, photos: Mixing.partners(photos)) })
        let all = Double(photos.count)
        // Another process' photos are prepared here too where they are blended into this one's.
        let partners = mixing == nil ? [] : crew.own(Mixing.partners(photos))
        let partnerViews = crew.own(Mixing.partners(views))
        let (photos, places) = (crew.own(photos), Mixing.partners(Array(photos.indices)))
        views = crew.own(views)
        let labels = photos.map { training.labels[$0] }
        var input = try batch(training, photos, views, of: Int(all), ahead)
        if let mixing {
            let alone = crew.count == 1
            let others = alone ? input : try batch(training, partners, partnerViews, of: nil, ahead)
            input = mixing.blend(input, others, alone ? places : Array(photos.indices))
        }
        let outputs = try learner.forward(input, dropoutSeed: random.next())
        var total = 0.0
        let gradient = outputs.withFloats { floats in
            Tensor(shape: outputs.shape) { target in
                // The mean over this process' photos becomes its part of that over all.
                defer { if share != 1 { for at in target.indices { target[at] *= Float(share) } } }
                if let detector {
                    total = detect(
                        floats, training, photos, views, detector, gradient: target, &met)
                    return
                }
                if let embedding = options.embedding {
                    total = embed(floats, labels, embedding, gradient: target, &met)
                    return
                }
                guard task != .classification else {
                    met.correct += hits(floats, labels)
                    total = loss.sum(
                        logits: floats, classes: classes, labels: labels,
                        mixed: mixing.map {
                            (labels: partners.map { training.labels[$0] }, share: $0.share)
                        },
                        gradient: target)
                    return
                }
                let truth = photos.map { training.targets[$0] }
                for row in photos.indices {
                    met.answers.append(Array(floats[(row * classes)..<((row + 1) * classes)]))
                }
                met.targets += truth
                total = dense.sum(
                    floats, width: classes,
                    targets: mixing?.blend(truth, partners.map { training.targets[$0] }) ?? truth,
                    weights: labelWeights, gradient: target)
            }
        }
        let learner = learner
        guard let gradientSum else {
            met.batchLoss = total / all
            try learner.backward(gradient, ready: nil)
            return total
        }
        total = photos.isEmpty ? 0 : total / Double(photos.count) * share * all
        // All must see a loss that is no number, or one would leave and the others wait for it.
        try gradientSum.begin(loss: Float(total / all))
        try learner.backward(gradient) { index in
            try learner.withParameter(index) { _, slopes in
                try gradientSum.add(index, slopes)
            }
        }
        met.batchLoss = Double(
            try gradientSum.finish { index, sums in
                try learner.withParameter(index) { _, slopes in
                    _ = slopes.update(fromContentsOf: sums)
                }
            })
        return total
    }

    /// What this process' photos of a batch count, of all; with those that are blended into them.
    fileprivate func share(
        _ samples: Samples, _ photos: [Int], _ mixed: (draw: Mixing.Draw, photos: [Int])?
    ) -> Double {
        func weight(_ photos: [Int]) -> Double {
            guard let weights = loss.classWeights else { return Double(photos.count) }
            return photos.reduce(0) { $0 + Double(weights[samples.labels[$1]]) }
        }
        func weight(_ part: ([Int]) -> [Int]) -> Double {
            guard let mixed else { return weight(part(photos)) }
            let keeps = mixed.draw.share
            return keeps * weight(part(photos)) + (1 - keeps) * weight(part(mixed.photos))
        }
        let total = weight { $0 }
        return total > 0 ? weight { crew.own($0) } / total : 0
    }

    fileprivate var dense: DenseLoss {
        task == .regression
            ? .squaredError : .binaryCrossEntropy(labelSmoothing: options.labelSmoothing)
    }

    /// The photos as a batch; rows that a ragged last one lacks are zeros, or who stands in. `all` are
    /// the photos of the whole batch that is learned from.
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

    fileprivate func hits(_ logits: UnsafeBufferPointer<Float>, _ labels: [Int]) -> Int {
        labels.enumerated().count { row, label in
            Ranking.best(of: .init(rebasing: logits[(row * classes)..<((row + 1) * classes)]))
                == label
        }
    }
}
