// What a detector finds in photos.

public import GraftImages
internal import GraftNetworks
internal import GraftTensors
internal import GraftTraining

/// A thing that was found in a photo.
public struct FoundThing: Sendable, Hashable, Codable {
    /// What it is.
    public var label: String
    /// How sure that is, 0 to 1.
    public var score: Double
    /// Where, in pixels of the photo.
    public var box: Box
}

extension Model {
    /// The detector that the network ends in.
    ///
    /// - Throws: `ModelError.unusable` if it is none.
    func detector() throws -> Detector {
        guard task == .detection,
            let detector = try Detector(graph, input: input(), classes: labels.count)
        else {
            throw ModelError.unusable(
                graph.name, reason: "the network finds no boxes",
                hint: "train one that does: `graft train ANNOTATIONS --task detection …`")
        }
        return detector
    }

    /// What is found in each photo, the surest first, from `threshold` on.
    ///
    /// - Throws: `ModelError.unusable` if the network finds no boxes.
    public func detect(_ images: [Image], threshold: Double = 0.5) throws -> [[FoundThing]] {
        let detector = try detector()
        let predictor = try Predictor(self, batch: min(8, max(images.count, 1)))
        return zip(images, try predictor.answers(images)).map { image, row in
            found(row, detector, width: Double(image.width), height: Double(image.height))
                .filter { $0.score >= threshold }
        }
    }

    /// What a row of answers finds in an image of this size, the best first.
    func found(_ row: [Float], _ detector: Detector, width: Double, height: Double) -> [FoundThing]
    {
        row.withUnsafeBufferPointer { detector.found($0) }.map { found in
            FoundThing(
                label: labels.indices.contains(found.label)
                    ? labels[found.label] : "\(found.label)",
                score: found.score,
                box: Box(
                    left: found.box.left * width, top: found.box.top * height,
                    right: found.box.right * width, bottom: found.box.bottom * height))
        }
    }
}
