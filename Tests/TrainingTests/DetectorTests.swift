// Detectors: anchors, which of them finds what, and the way of a box to numbers and back.

import GraftImages
import GraftNetworks
import GraftTensors
import Testing

@testable import GraftTraining

@Suite struct DetectorTests {
    private func detector(classes: Int = 2) throws -> (graph: Graph, detector: Detector) {
        var builder = try GraphBuilder(naming: .torch, input: [1, 3, 64, 64])
        var x = 0
        for width in [4, 4, 8, 8] {
            x = try builder.add(
                .conv2d(
                    outputs: width, window: Window(kernel: 3, stride: 2, padding: .all(1)),
                    groups: 1, bias: true), name: nil, inputs: [x])
            x = try builder.add(.activation(.relu), name: nil, inputs: [x])
        }
        x = try builder.add(.globalAveragePool(keepsDimensions: false), name: nil, inputs: [x])
        let graph = try Graph(
            name: "four", nodes: builder.nodes, output: x, features: x, logits: nil, naming: .torch
        ).withDetector(classes: classes, input: [1, 3, 64, 64])
        return (
            graph,
            try #require(try Detector(graph, input: [1, 3, 64, 64], classes: classes))
        )
    }

    @Test func `The two coarsest maps and a coarser one are read`() throws {
        let (graph, detector) = try detector()
        #expect(detector.anchors.count == (64 + 16 + 4) * Graph.boxesPerPlace)
        let shapes = try graph.shapes(input: [2, 3, 64, 64])
        #expect(shapes[graph.output] == [2, detector.outputs])
        #expect(try Detector(graph, input: [1, 3, 64, 64], classes: 3) == nil)
        // Of another size the boxes are others.
        let larger = try #require(try Detector(graph, input: [1, 3, 128, 96], classes: 2))
        #expect(larger.anchors.count == (16 * 12 + 8 * 6 + 4 * 3) * Graph.boxesPerPlace)
        let first = detector.anchors[0]
        #expect(abs(first.left - (0.0625 - 0.075)) < 1e-12 && abs(first.bottom - 0.1375) < 1e-12)
    }

    @Test func `A box is found by what overlaps it by half, or else by its best anchor`() throws {
        let (_, detector) = try detector()
        #expect(detector.matches([]).allSatisfy { $0 == nil })
        let tiny = Box(left: 0.5, top: 0.5, right: 0.51, bottom: 0.51)
        #expect(detector.matches([tiny]).count { $0 == 0 } == 1)
        let exact = detector.anchors[100]
        let matches = detector.matches([tiny, exact])
        #expect(matches[100] == 1)
        for (anchor, match) in zip(detector.anchors, matches) where match == 1 {
            #expect(anchor.overlap(exact) >= 0.5)
        }
    }

    @Test func `Boxes survive the way to numbers and back`() throws {
        let (_, detector) = try detector()
        let box = Box(left: 0.2, top: 0.1, right: 0.55, bottom: 0.9)
        for anchor in [detector.anchors[7], detector.anchors[300]] {
            let numbers = Detector.encoded(box, from: anchor).map { Float($0) }
            let back = Detector.decoded(numbers, from: anchor)
            #expect(back.overlap(box) > 0.9999)
        }
        // Numbers beyond all measure stay within the photo.
        let wild = Detector.decoded([1e30, -1e30, 1e30, 1e30], from: detector.anchors[0])
        #expect((0...1).contains(wild.left) && (0...1).contains(wild.bottom))
    }

    @Test func `A photo with nothing in it teaches nothing, and right answers cost little`() throws
    {
        let (_, detector) = try detector()
        var outputs = [Float](repeating: 0, count: detector.outputs)
        var gradient = [Float](repeating: .nan, count: detector.outputs)
        func loss(_ boxes: [(label: Int, box: Box)]) -> Double {
            outputs.withUnsafeBufferPointer { outputs in
                gradient.withUnsafeMutableBufferPointer {
                    detector.loss(outputs, [boxes], gradient: $0)
                }
            }
        }
        #expect(loss([]) == 0 && gradient.allSatisfy { $0 == 0 })
        let box = Box(left: 0.1, top: 0.2, right: 0.6, bottom: 0.7)
        let before = loss([(1, box)])
        for (anchor, match) in detector.matches([box]).enumerated() {
            let at = anchor * detector.width
            outputs[at + 4 + (match == nil ? 0 : 2)] = 20
            guard match != nil else { continue }
            for (k, value) in Detector.encoded(box, from: detector.anchors[anchor]).enumerated() {
                outputs[at + k] = Float(value)
            }
        }
        #expect(before > 1 && loss([(1, box)]) < 1e-6)
        let found = outputs.withUnsafeBufferPointer { detector.found($0) }
        #expect(found.count == 1 && found[0].label == 1 && found[0].box.overlap(box) > 0.999)
    }

    /// An image of 200 × 100 pixels with one annotated object and one of an unknown class.
    private func item() -> PhotoFolder.Item {
        var item = PhotoFolder.Item(path: "a.png", relativePath: "a.png", classIndex: 0)
        item.size = PixelSize(width: 200, height: 100)
        var object = Annotation(label: "cat")
        object.polygons = [[.init(x: 25, y: 25), .init(x: 100, y: 30), .init(x: 60, y: 100)]]
        object.isDifficult = true
        item.annotations = [
            object, Annotation(label: "dog", box: Box(left: 0, top: 0, right: 9, bottom: 9)),
        ]
        return item
    }

    @Test func `A target reduces outlines to boxes, and a mirror turns them`() {
        let target = DetectionTarget(item(), places: ["bird": 0, "cat": 3])
        #expect(target.width == 200 && target.height == 100 && target.entries.count == 1)
        let entry = target.entries[0]
        #expect(entry.label == 3 && entry.isDifficult && !entry.isCrowd)
        #expect(entry.box == Box(left: 0.125, top: 0.25, right: 0.5, bottom: 1))
        #expect(entry.area == 75 * 75)
        #expect(
            target.mirrored.entries[0].box == Box(left: 0.5, top: 0.25, right: 0.875, bottom: 1))
        #expect(target.truth(photo: 5)[0].box == Box(left: 25, top: 25, right: 100, bottom: 100))
    }

    @Test func `Boxes move with the pixels, and leave with them`() {
        let target = DetectionTarget(item(), places: ["cat": 0])
        // What is seen is moved 50 pixels to the right.
        let right = AffineMap(a: 1, b: 0, x: -50, c: 0, d: 1, y: 0)
        let moved = target.moved(by: right).entries
        #expect(moved.map(\.box) == [Box(left: 0.375, top: 0.25, right: 0.75, bottom: 1)])
        let away = AffineMap(a: 1, b: 0, x: -170, c: 0, d: 1, y: 0)
        #expect(target.moved(by: away).entries.isEmpty)
    }

    @Test func `An image whose size is not known has no boxes`() {
        var item = item()
        item.size = nil
        #expect(DetectionTarget(item, places: ["cat": 0]).entries.isEmpty)
    }
}
