// Segmentation: maps of classes from outlines and masks, the loss and its slopes, and figures of pixels.

import Foundation
import GraftImages
import GraftNetworks
import GraftTensors
import Testing

@testable import GraftTraining

@Suite struct SegmentationTests {
    private func item(_ annotations: [Annotation], width: Int = 8, height: Int = 4)
        -> PhotoFolder.Item
    {
        var item = PhotoFolder.Item(path: "a.png", relativePath: "a.png", classIndex: 0)
        item.size = PixelSize(width: width, height: height)
        item.annotations = annotations
        return item
    }

    private func outlined(_ label: String, _ box: Box) -> Annotation {
        var annotation = Annotation(label: label)
        annotation.polygons = [box.corners]
        return annotation
    }

    private func map(_ item: PhotoFolder.Item, _ seen: ViewChange = .none) throws -> [UInt8] {
        try LabelMap(item, places: ["a": 1, "b": 2], width: 8, height: 4, seen: seen).labels
    }

    @Test func `Pixels are of the object that their centre is in, small ones on top`() throws {
        let large = outlined("a", Box(left: 0, top: 0, right: 4.5, bottom: 2.5))
        let small = outlined("b", Box(left: 1, top: 1, right: 2, bottom: 2))
        let expected: [UInt8] = [
            1, 1, 1, 1, 0, 0, 0, 0, 1, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0,
        ]
        #expect(try map(item([small, large])) == expected)
        #expect(try map(item([large, small])) == expected)
    }

    @Test func `Maps follow the pixels of a view`() throws {
        let object = outlined("a", Box(left: 0, top: 0, right: 2, bottom: 1))
        let mirrored = try map(item([object]), .mirror)
        #expect(mirrored.indices.filter { mirrored[$0] > 0 } == [6, 7])
        let down = ViewChange.moved(AffineMap(a: 1, b: 0, x: -3, c: 0, d: 1, y: -1))
        let moved = try map(item([object]), down)
        #expect(moved.indices.filter { moved[$0] > 0 } == [11, 12])
        // Runs are sampled where outlines are filled.
        var runs = Annotation(label: "a")
        runs.mask = .runs([0, 1, 3, 1, 27], width: 8, height: 4)
        #expect(try map(item([runs])) == map(item([object])))
        #expect(try map(item([runs]), down) == moved)
    }

    @Test func `Crowds and boxes without outline count nowhere`() throws {
        var crowd = outlined("a", Box(left: 0, top: 0, right: 1, bottom: 1))
        crowd.isCrowd = true
        let box = Annotation(label: "b", box: Box(left: 2, top: 0, right: 3, bottom: 1))
        let labels = try map(item([crowd, box]))
        #expect(labels[0] == 255 && labels[2] == 255 && labels[1] == 0)
    }

    @Test(arguments: SegmentationSettings.Loss.allCases)
    func `Slopes equal differences`(terms: SegmentationSettings.Loss) {
        let loss = SegmentationLoss(terms, classes: 3)
        let truth: [[UInt8]] = [[0, 1, 1, 255], [0, 0, 255, 1]]
        var scores = (0..<24).map { Float(($0 * 7919) % 23) / 10 - 1 }
        var gradient = [Float](repeating: 9, count: 24)
        func value() -> Double { scores.withUnsafeBufferPointer { loss.mean($0, against: truth) } }
        scores.withUnsafeBufferPointer { scores in
            gradient.withUnsafeMutableBufferPointer {
                _ = loss.mean(scores, against: truth, gradient: $0)
            }
        }
        for at in scores.indices {
            let kept = scores[at]
            scores[at] = kept + 1e-2
            let above = value()
            scores[at] = kept - 1e-2
            let below = value()
            scores[at] = kept
            #expect(abs((above - below) / 2e-2 - Double(gradient[at])) < 1e-4, "\(at)")
        }
    }

    @Test func `Figures are counted over all pixels`() {
        var tally = PixelTally(classes: 3)
        tally.add(found: [0, 0, 1, 1], against: [0, 1, 1, 255])
        tally.add(found: [0, 1], against: [0, 0])
        let figures = tally.figures(["x", "y"])
        #expect(figures.perClass.map(\.iou) == [0.5, 1.0 / 3, nil])
        #expect(figures.perClass.map(\.name) == ["background", "x", "y"])
        #expect(figures.pixelAccuracy == 0.6)
        #expect(abs((figures.meanIoU ?? 0) - 5.0 / 12) < 1e-12)
        #expect(PixelTally(classes: 2).figures(["x"]).meanIoU == nil)
    }

    @Test(arguments: SegmentationSettings.Head.allCases)
    func `Every head scores every pixel of the input`(head: SegmentationSettings.Head) throws {
        var builder = try GraphBuilder(naming: .torch, input: [1, 3, 32, 48])
        var x = 0
        for width in [4, 6, 8] {
            x = try builder.add(
                .conv2d(
                    outputs: width, window: Window(kernel: 3, stride: 2, padding: .all(1)),
                    groups: 1, bias: true), name: nil, inputs: [x])
            x = try builder.add(.activation(.relu), name: nil, inputs: [x])
        }
        x = try builder.add(.globalAveragePool(keepsDimensions: false), name: nil, inputs: [x])
        let backbone = Graph(
            name: "tiny", nodes: builder.nodes, output: x, features: x, logits: nil, naming: .torch)
        let input: Shape = [1, 3, 32, 48]
        let graph = try backbone.withSegmenter(head, classes: 4, input: input)
        #expect(try graph.shapes(input: input)[graph.output] == [1, 4, 32, 48])
        #expect(graph.nodes[(x + 1)...].allSatisfy { $0.stage == "head" })
    }

    @Test func `Masks are grey values or the palette's colours`() throws {
        let folder = NSTemporaryDirectory() + "graft-masks-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let mask = MaskImage(width: 3, height: 2, values: [0, 1, 2, 20, 255, 0])
        #expect(MaskImage.palette[1] == 0x800000 && MaskImage.palette[255] == 0xE0E0C0)
        for inColor in [false, true] {
            let path = "\(folder)/\(inColor).png"
            try mask.image(inColor: inColor).writePNG(to: path)
            #expect(try MaskImage.read(path).values == mask.values)
        }
        #expect(mask.runs(of: 1) == .runs([2, 1, 3], width: 3, height: 2))
        let path = folder + "/odd.png"
        try Image(width: 1, height: 1, pixels: [1, 2, 3]).writePNG(to: path)
        #expect(throws: MaskError.unknownColor(path, color: 0x010203, x: 0, y: 0)) {
            try MaskImage.read(path)
        }
    }
}
