// Epochs of boxes: the loss of a batch, and how well validation photos' boxes are found.

import GraftTensors

extension TrainingLoop {
    /// The loss of a batch, times its photos; what was found is noted for the epoch's precision.
    func detect(
        _ outputs: UnsafeBufferPointer<Float>, _ training: Samples, _ photos: [Int],
        _ views: [Int], _ detector: Detector, gradient: UnsafeMutableBufferPointer<Float>,
        _ met: inout Met
    ) -> Double {
        let truth = zip(photos, views).map { photo, view in
            let boxes = PhotoBoxes(training.targets[photo])
            return view > 0 && options.flip ? boxes.mirrored : boxes
        }
        for (row, boxes) in truth.enumerated() {
            met.note(
                boxes, detector, .init(rebasing: outputs[(row * classes)..<((row + 1) * classes)]))
        }
        return Double(photos.count)
            * detector.loss(outputs, truth.map(\.learned), gradient: gradient)
    }

    /// Judges all photos by the boxes that are found in them.
    func judge(_ outputs: [Float], _ samples: Samples, _ detector: Detector) -> Score {
        var score = Score(loss: 0, top5: 0, confusion: ConfusionMatrix(classes: 0))
        var met = Met()
        let truth = samples.targets.map { PhotoBoxes($0) }
        outputs.withUnsafeBufferPointer { outputs in
            for (row, boxes) in truth.enumerated() {
                met.note(
                    boxes, detector,
                    .init(rebasing: outputs[(row * classes)..<((row + 1) * classes)]))
            }
            let size = options.batchSize
            for start in stride(from: 0, to: truth.count, by: size) {
                let end = min(start + size, truth.count)
                score.loss +=
                    Double(end - start)
                    * detector.loss(
                        .init(rebasing: outputs[(start * classes)..<(end * classes)]),
                        truth[start..<end].map(\.learned))
            }
        }
        score.loss /= Double(max(truth.count, 1))
        score.boxes = met.boxes(classes: classNames)
        score.measure = score.boxes?.ap ?? 0
        return score
    }
}

extension TrainingLoop.Met {
    /// Notes what was found in a photo and what is there.
    mutating func note(
        _ boxes: PhotoBoxes, _ detector: Detector, _ row: UnsafeBufferPointer<Float>
    ) {
        found += detector.found(row, photo: photos).map { found in
            var found = found
            found.box = boxes.inPixels(found.box)
            return found
        }
        truth += boxes.truth(photo: photos)
        photos += 1
    }

    /// How well it was found.
    func boxes(classes: [String]) -> BoxMetrics {
        BoxMetrics(found, truth, photos: photos, classes: classes)
    }
}
