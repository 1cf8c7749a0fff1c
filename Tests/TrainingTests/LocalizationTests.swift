// Localisation: the target of an image, the loss and its slopes, and counts of what is right.

import GraftImages
import GraftTensors
import Testing

@testable import GraftTraining

@Suite struct LocalizationTests {
    private func item(_ boxes: [(String, Box)]) -> PhotoFolder.Item {
        var item = PhotoFolder.Item(path: "a.png", relativePath: "a.png", classIndex: 0)
        item.size = PixelSize(width: 100, height: 50)
        item.annotations = boxes.map { Annotation(label: $0.0, box: $0.1) }
        return item
    }

    @Test func `The target is the largest object, by centre and sides`() {
        let item = item([
            ("cat", Box(left: 0, top: 0, right: 10, bottom: 10)),
            ("dog", Box(left: 50, top: 25, right: 75, bottom: 50)),
            ("bird", Box(left: 0, top: 0, right: 100, bottom: 50)),
        ])
        let target = LocalizationTarget(item, places: ["cat": 0, "dog": 1])
        #expect(target.object?.label == 1)
        #expect(target.numbers == [0.625, 0.75, 0.5, 0.25])
        let mirrored = LocalizationTarget(item, places: ["dog": 0], seen: .mirror)
        #expect(mirrored.numbers == [0.375, 0.75, 0.5, 0.25])
        #expect(LocalizationTarget(item, places: ["fish": 0]).object == nil)
    }

    @Test func `An object that has left the view is none`() {
        let item = item([("dog", Box(left: 50, top: 25, right: 75, bottom: 50))])
        let away = ViewChange.moved(AffineMap(a: 1, b: 0, x: -60, c: 0, d: 1, y: 0))
        #expect(LocalizationTarget(item, places: ["dog": 0], seen: away).object == nil)
    }

    @Test(
        arguments: LocalizationSettings.BoxFunction.allCases,
        LocalizationSettings.BoxLoss.allCases)
    func `Slopes equal differences`(
        function: LocalizationSettings.BoxFunction, kind: LocalizationSettings.BoxLoss
    ) {
        var settings = LocalizationSettings()
        (settings.box, settings.loss, settings.boxWeight) = (function, kind, 1.5)
        let loss = LocalizationLoss(settings: settings, classes: 3)
        var scores: [Float] = [
            0.3, 0.4, 0.5, 0.35, 0.25, 1, -1, 0.2, -0.7, 0.1, 0.2, 0.3, 0.4, 0, 1, 2,
        ]
        let targets = [
            LocalizationTarget(
                .init(label: 1, box: Box(left: 0.3, top: 0.4, right: 0.7, bottom: 0.8))),
            LocalizationTarget(nil),
        ]
        var gradient = [Float](repeating: 9, count: scores.count)
        func value() -> Double { scores.withUnsafeBufferPointer { loss.sum($0, against: targets) } }
        scores.withUnsafeBufferPointer { scores in
            gradient.withUnsafeMutableBufferPointer {
                _ = loss.sum(scores, against: targets, gradient: $0)
            }
        }
        for at in scores.indices {
            let kept = scores[at]
            scores[at] = kept + 1e-3
            let above = value()
            scores[at] = kept - 1e-3
            let below = value()
            scores[at] = kept
            // The gradient is that of the mean of two images.
            #expect(abs((above - below) / 2e-3 / 2 - Double(gradient[at])) < 2e-3, "\(at)")
        }
    }

    @Test func `An image counts as localised only by presence, class and half the overlap`() {
        let box = Box(left: 0.25, top: 0.25, right: 0.75, bottom: 0.75)
        let object = LocalizationTarget(.init(label: 1, box: box))
        var tally = LocalizationTally()
        tally.add([0.9, 0.5, 0.5, 0.5, 0.5, 0.1, 0.9], against: object)
        tally.add([0.9, 0.5, 0.5, 0.5, 0.5, 0.9, 0.1], against: object)
        tally.add([0.9, 0.9, 0.9, 0.2, 0.2, 0.1, 0.9], against: object)
        tally.add([0.1, 0.5, 0.5, 0.5, 0.5, 0.1, 0.9], against: LocalizationTarget(nil))
        let metrics = tally.metrics
        #expect(metrics.localized == 0.5 && metrics.presence == 1 && metrics.objects == 3)
        #expect(abs((metrics.classAccuracy ?? 0) - 2.0 / 3) < 1e-12)
        #expect(abs((metrics.meanIoU ?? 0) - 2.0 / 3) < 1e-6)
        #expect(LocalizationTally().metrics.localized == nil)
    }
}
