// What a segmenter answers of an image, and how its answers are measured.

import GraftImages
import GraftNetworks
import GraftTensors

/// A class that was found in an image.
public struct FoundSegment: Sendable, Hashable, Codable {
    /// The class.
    public var label: String
    /// The share of the image's pixels.
    public var share: Double
    /// The number of pixels.
    public var pixels: Int
}

/// The classes of an image's pixels.
package struct SegmentAnswer: TaskAnswer {
    /// The classes that were found, the largest first.
    package var segments: [FoundSegment]
    /// The class of each pixel of the image, not printed: 0 is background, the labels follow.
    package var mask: MaskImage
    /// The names of the classes, not printed.
    package var labels: [String]

    private enum CodingKeys: String, CodingKey { case segments }
}

/// The most probable class of each pixel of an image, from probabilities at the network's size.
struct PixelDecoder: Sendable {
    let classes: Int
    /// The size of the network's output.
    let height: Int
    let width: Int

    init(_ model: AnswerSite) throws {
        let shape = try model.graph.shapes(input: model.input)[model.graph.output]
        guard shape.rank == 4, shape[1] == model.labels.count + 1,
            (2...LabelMap.mostClasses).contains(shape[1])
        else {
            throw TaskFlaw(
                reason:
                    "the network answers \(shape), and maps of \(model.labels.count) classes and a "
                    + "background are (N, \(model.labels.count + 1), H, W)",
                hint: "train one that does: `graft train ANNOTATIONS --task segmentation …`")
        }
        (classes, height, width) = (shape[1], shape[2], shape[3])
    }

    /// The classes at the size of an image: probabilities between pixels are bilinear, as PyTorch's
    /// `interpolate` without aligned corners.
    func labels(_ row: [Float], width targetWidth: Int, height targetHeight: Int) -> [UInt8] {
        let columns = samples(targetWidth, of: width)
        let rows = samples(targetHeight, of: height)
        var result = [UInt8](repeating: 0, count: targetWidth * targetHeight)
        row.withUnsafeBufferPointer { values in
            for (y, down) in rows.enumerated() {
                for (x, across) in columns.enumerated() {
                    var best = (label: 0, share: -Float.infinity)
                    for k in 0..<classes {
                        let start = k * height * width
                        func line(_ at: Int) -> Float {
                            let first = values[start + at * width + across.first]
                            let second = values[start + at * width + across.second]
                            return first + (second - first) * across.share
                        }
                        let upper = line(down.first)
                        let share = upper + (line(down.second) - upper) * down.share
                        if share > best.share { best = (k, share) }
                    }
                    result[y * targetWidth + x] = UInt8(best.label)
                }
            }
        }
        return result
    }

    /// The two samples of an axis that make each place of a larger or smaller one.
    private func samples(_ count: Int, of size: Int) -> [(first: Int, second: Int, share: Float)] {
        (0..<count).map { place in
            let at = max((Double(place) + 0.5) * Double(size) / Double(count) - 0.5, 0)
            let first = min(Int(at), size - 1)
            return (first, min(first + 1, size - 1), Float(at - Double(first)))
        }
    }
}

extension Segmentation {
    static func check(_ model: AnswerSite) throws { _ = try PixelDecoder(model) }

    static func answers(_ model: AnswerSite) throws -> any TaskAnswers {
        Masks(decoder: try PixelDecoder(model), labels: model.labels)
    }

    /// Makes masks of probabilities.
    struct Masks: TaskAnswers {
        let decoder: PixelDecoder
        let labels: [String]

        /// Masks are of the size of the whole image.
        func covering(_ preprocessing: Preprocessing) -> Int? { nil }

        func answer(_ row: [Float], width: Int, height: Int) -> any TaskAnswer {
            let found = decoder.labels(row, width: width, height: height)
            var counts = [Int](repeating: 0, count: labels.count + 1)
            for label in found { counts[Int(label)] += 1 }
            let segments = labels.enumerated().map { index, label in
                FoundSegment(
                    label: label, share: Double(counts[index + 1]) / Double(max(found.count, 1)),
                    pixels: counts[index + 1])
            }
            return SegmentAnswer(
                segments: segments.filter { $0.pixels > 0 }.sorted { $0.pixels > $1.pixels },
                mask: MaskImage(width: width, height: height, values: found), labels: labels)
        }
    }

    static func meter(_ model: AnswerSite, classes: [String]) throws -> any AnswerMeter {
        Meter(decoder: try PixelDecoder(model), labels: model.labels)
    }

    /// Measures the classes of pixels at the size of each image.
    struct Meter: AnswerMeter {
        let decoder: PixelDecoder
        let labels: [String]
        private let places: [String: Int]
        private var tally: PixelTally

        init(decoder: PixelDecoder, labels: [String]) {
            (self.decoder, self.labels) = (decoder, labels)
            places = Dictionary(
                labels.enumerated().map { ($1, $0 + 1) }, uniquingKeysWith: { first, _ in first })
            tally = PixelTally(classes: labels.count + 1)
        }

        mutating func add(_ answer: [Float], of item: PhotoFolder.Item) throws {
            guard let size = item.size else { return }
            let truth = try LabelMap(
                item, places: places, width: size.width, height: size.height, seen: .none)
            tally.add(
                found: decoder.labels(answer, width: size.width, height: size.height),
                against: truth.labels)
        }

        func figures() -> (any TaskMetrics)? {
            SegmentationMetrics(segmentation: tally.figures(labels))
        }
        var obstacle: String { "no image was answered" }
    }
}
