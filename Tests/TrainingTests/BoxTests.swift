// Boxes: overlaps, suppression, and average precision worked out by hand.

import GraftImages
import GraftTraining
import Testing

@Suite struct BoxTests {
    private func box(_ left: Double, _ top: Double, _ right: Double, _ bottom: Double) -> Box {
        Box(left: left, top: top, right: right, bottom: bottom)
    }

    @Test func `Overlaps are of areas, without a pixel more`() {
        #expect(box(0, 0, 10, 10).overlap(box(0, 0, 10, 5)) == 0.5)
        #expect(box(0, 0, 10, 10).overlap(box(10, 0, 20, 10)) == 0)
        #expect(box(0, 0, 0, 0).overlap(box(0, 0, 0, 0)) == 0)
        #expect(
            abs(box(0, 0, 10, 10).generalisedOverlap(box(20, 20, 30, 30)) + 7.0 / 9) < 1e-12)
    }

    @Test func `Suppression takes what overlaps by more, of equal scores the later`() {
        let boxes = [box(0, 0, 10, 10), box(0, 0, 10, 5), box(0, 0, 10, 9), box(0, 0, 10, 10)]
        let scores = [0.9, 0.8, 0.95, 0.95]
        #expect(Suppression.kept(boxes, scores: scores, threshold: 0.5) == [2])
        #expect(Suppression.kept(boxes, scores: scores, threshold: 0.6) == [2, 1])
        #expect(Suppression.kept([boxes[0], boxes[1]], scores: [1, 1], threshold: 0.5) == [0, 1])
        #expect(
            Suppression.kept(boxes, scores: scores, classes: [0, 0, 0, 1], threshold: 0.5)
                == [2, 3])
        #expect(Suppression.kept([], scores: [], threshold: 0.5).isEmpty)
    }

    @Test func `Average precision of two boxes, one of them missed`() throws {
        let truth = [
            TrueBox(photo: 0, label: 0, box: box(0, 0, 40, 40)),
            TrueBox(photo: 1, label: 0, box: box(0, 0, 40, 40)),
        ]
        let found = [
            Detection(photo: 0, label: 0, box: box(0, 0, 40, 40), score: 0.9),
            Detection(photo: 1, label: 0, box: box(100, 0, 140, 40), score: 0.8),
        ]
        let metrics = BoxMetrics(found, truth, photos: 2, classes: ["a", "b"])
        // Precision 1 up to recall 0.5: 51 of 101 recalls, 6 of 11.
        #expect(abs(try #require(metrics.ap) - 51.0 / 101) < 1e-12)
        #expect(abs(try #require(metrics.voc07) - 6.0 / 11) < 1e-12)
        #expect(metrics.voc10 == 0.5 && metrics.ar100 == 0.5)
        #expect(metrics.apSmall == nil && metrics.perClass[1].ap == nil)
    }

    @Test func `Crowds and what is hard to see are neither right nor wrong`() throws {
        let truth = [
            TrueBox(photo: 0, label: 0, box: box(0, 0, 40, 40)),
            TrueBox(photo: 0, label: 0, box: box(100, 0, 200, 100), isCrowd: true),
            TrueBox(photo: 0, label: 0, box: box(300, 0, 340, 40), isDifficult: true),
        ]
        let found = [
            Detection(photo: 0, label: 0, box: box(110, 10, 130, 30), score: 0.9),
            Detection(photo: 0, label: 0, box: box(120, 10, 140, 30), score: 0.8),
            Detection(photo: 0, label: 0, box: box(0, 0, 40, 40), score: 0.7),
            Detection(photo: 0, label: 0, box: box(300, 0, 340, 40), score: 0.6),
        ]
        let metrics = BoxMetrics(found, truth, photos: 1, classes: ["a"])
        // COCO knows of nothing that is hard to see; VOC of no crowds that hold smaller boxes.
        #expect(metrics.ap50 == 1)
        #expect(abs(try #require(metrics.voc10) - 1.0 / 3) < 1e-12)
        #expect(BoxMetrics([], [], photos: 0, classes: []).ap == nil)
    }
}
