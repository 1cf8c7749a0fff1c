// `report.html`: what a run did, on one page that needs no network.

import FoundationEssentials
import GraftImages
import GraftTensors

/// A photo that was taken for something else, and where the network looked.
struct Mistake {
    var path: String
    var truth: String
    var prediction: String
    /// How sure the answer was; nil for numbers.
    var probability: Float?
    /// What the network saw of it, and the same under the class activation map.
    var pictures: [Image]
}

enum RunReport {
    static func html(
        _ run: RunDescription, _ metrics: TrainingMetrics, _ history: [EpochRecord],
        _ mistakes: [Mistake], _ answers: [(truth: [Float], answer: [Float])] = []
    ) throws -> String {
        let things =
            switch run.task {
            case .classification: "classes"
            case .multiLabel: "labels"
            case .regression: run.classes.count == 1 ? "number" : "numbers"
            case .embedding: "classes, by likeness"
            case .detection: "classes of things in boxes"
            }
        let title = "\(run.architecture), \(run.classes.count) \(things)"
        var body = "<h1>\(HTML.escaped(title))</h1>\n"
        if let failure = metrics.failure {
            body += "<p class=failed><b>This run failed.</b> \(HTML.escaped(failure.message))"
            body += failure.hint.map { "<br>\(HTML.escaped($0))" } ?? ""
            body +=
                metrics.epochs > 0
                ? "<br>What follows is of its best epoch until then.</p>\n" : "</p>\n"
        }
        var summary: [[String]] = []
        func line(_ name: String, _ value: Double?) {
            if let value { summary.append([name, HTML.places(value, 4)]) }
        }
        line("validation accuracy", metrics.accuracy)
        line("top-5 accuracy", metrics.top5)
        line("macro F1", metrics.macroF1)
        line("macro ROC-AUC", metrics.scores?.macroROCAUC)
        line("mean average precision", metrics.scores?.meanAveragePrecision)
        line("calibration error, 15 bins", metrics.scores?.calibrationError)
        if let temperature = metrics.temperature {
            line("temperature of the head", temperature.value)
            line("calibration error before it", temperature.calibrationErrorBefore)
        }
        line("Brier score", metrics.scores?.brierScore)
        line("mean average precision", metrics.labels?.meanAveragePrecision)
        line("macro ROC-AUC", metrics.labels?.macroROCAUC)
        line("micro F1", metrics.labels?.microF1)
        line("photos with every label right", metrics.labels?.subsetAccuracy)
        line("share of wrong labels", metrics.labels?.hammingLoss)
        line("calibration error, 15 bins", metrics.labels?.calibrationError)
        line("R²", metrics.values?.r2)
        line("Recall@1", metrics.retrieval?.recallAt1)
        line("Recall@5", metrics.retrieval?.recallAt5)
        line("mAP@R", metrics.retrieval?.mapAtR)
        line("R-precision", metrics.retrieval?.rPrecision)
        line("average precision (COCO)", metrics.boxes?.ap)
        line("at an overlap of 0.5", metrics.boxes?.ap50)
        line("at an overlap of 0.75", metrics.boxes?.ap75)
        line("average recall, 100 boxes", metrics.boxes?.ar100)
        line("average precision (VOC 2010)", metrics.boxes?.voc10)
        line("validation loss", metrics.loss)
        if metrics.epochs > 0 {
            summary.append(["best epoch", "\(metrics.bestEpoch) of \(metrics.epochs)"])
        }
        summary.append(
            ["photos", "\(metrics.trainingPhotos) learned, \(metrics.validationPhotos) validated"])
        if metrics.skippedPhotos > 0 {
            summary.append(["photos skipped, not readable", "\(metrics.skippedPhotos)"])
        }
        body += HTML.table(["", ""], summary)
        if !history.isEmpty { body += results(run, metrics, history, answers) }
        if !mistakes.isEmpty {
            body += "<h2>Worst mistakes</h2><p>"
            body +=
                run.task == .regression
                ? "The validation photos whose answers are furthest off, as the network sees them."
                : run.task == .embedding
                    ? "The validation photos that are most like one of another class, with that one; the "
                        + "cosine of their vectors in brackets."
                    : "The validation photos that were most surely taken for something else, as the "
                        + "network sees them, and where it looked."
            body += "</p>\n"
            body += "<div class=cards>\n"
            for mistake in mistakes { body += try card(mistake) }
            body += "</div>\n"
        }
        body += "<h2>Repeat it</h2><pre>\(HTML.escaped(run.command))</pre>\n"
        body += "<h2>Settings</h2>\n"
        body += HTML.table(["", ""], run.settings.map { [$0.name, $0.value] }, kind: "facts")
        body += "<details><summary>all of them, as in run.json</summary><pre>"
        body += HTML.escaped(try RunFiles.json(run, pretty: true)) + "</pre></details>"
        return HTML.page(title, body)
    }

    /// Curves over the epochs, and the best of them in detail.
    private static func results(
        _ run: RunDescription, _ metrics: TrainingMetrics, _ history: [EpochRecord],
        _ answers: [(truth: [Float], answer: [Float])]
    ) -> String {
        var body = "<h2>Learning</h2>\n"
        let epochs = history.map(\.epoch)
        // A logistic head tries penalties, one after the other, and has no epochs.
        let penalty = history.first { $0.epoch == metrics.bestEpoch }?.penalty
        let kept = penalty.map { "penalty \(Float($0))" } ?? "epoch \(metrics.bestEpoch)"
        body += Plot.curves(
            "loss", epochs, best: metrics.bestEpoch, kept: kept,
            [
                ("training", history.map { $0.isLearned ? $0.trainingLoss : nil }),
                ("validation", history.map(\.validationLoss)),
            ])
        body += Plot.curves(
            run.task.measure, epochs, best: metrics.bestEpoch, kept: kept,
            [
                ("training", history.map { $0.isLearned ? $0.trainingAccuracy : nil }),
                ("validation", history.map(\.validationAccuracy)),
            ])
        switch run.task {
        case .classification: body += self.classes(run, metrics)
        case .multiLabel: body += labels(run, metrics)
        case .regression: body += values(metrics, answers)
        case .embedding: body += likeness(run, metrics)
        case .detection: body += boxes(run, metrics)
        }
        return body
    }

    /// A mistake: the photo, where the network looked, and in words.
    private static func card(_ mistake: Mistake) throws -> String {
        var text = "<figure class=card>"
        for picture in mistake.pictures { text += try HTML.image(picture, mistake.path) }
        let sure = mistake.probability.map { " (\(HTML.places(Double($0), 2)))" } ?? ""
        text += "<figcaption><b>\(HTML.escaped(mistake.truth))</b>, taken for "
        text += "<b>\(HTML.escaped(mistake.prediction))</b>\(sure)"
        return text + "<br><small>\(HTML.escaped(mistake.path))</small></figcaption></figure>\n"
    }

    private static func classes(_ run: RunDescription, _ metrics: TrainingMetrics) -> String {
        var body = "<h2>Classes</h2>\n"
        let rows = metrics.perClass.enumerated().map { index, scores in
            [
                run.classes[index], "\(run.trainingCounts[index])", "\(scores.support)",
                HTML.places(scores.precision, 3), HTML.places(scores.recall, 3),
                HTML.places(scores.f1, 3),
            ]
                + [metrics.scores?.rocAUC[index], metrics.scores?.averagePrecision[index]].map {
                    $0.flatMap { $0 }.map { HTML.places($0, 3) } ?? "–"
                }
        }
        body += HTML.table(
            [
                "class", "learned", "validated", "precision", "recall", "F1", "ROC-AUC",
                "average precision",
            ], rows)
        body += "<h2>Confusion</h2><p>A row is the truth, a column what it was taken for.</p>\n"
        body += HTML.matrix(metrics.confusion, run.classes)
        if let bins = metrics.scores?.calibration {
            body += "<h2>Calibration</h2><p>How often answers were right, by how sure they were; "
            body += "a circle's area is the share of the photos.</p>\n"
            body += Plot.reliability(bins)
        }
        return body
    }

    private static func number(_ value: Double?) -> String {
        value.map { HTML.places($0, 3) } ?? "–"
    }

    private static func labels(_ run: RunDescription, _ metrics: TrainingMetrics) -> String {
        let rows = (metrics.labels?.labels ?? []).enumerated().map { index, label in
            [
                label.name, "\(run.trainingCounts[index])", "\(label.support)",
                HTML.places(Double(label.threshold), 3), number(label.precision),
                number(label.recall), number(label.f1), number(label.rocAUC),
                number(label.averagePrecision),
            ]
        }
        return "<h2>Labels</h2><p>A label is said to hold from its threshold on.</p>\n"
            + HTML.table(
                [
                    "label", "learned", "validated", "threshold", "precision", "recall", "F1",
                    "ROC-AUC", "average precision",
                ], rows)
    }

    private static func likeness(_ run: RunDescription, _ metrics: TrainingMetrics) -> String {
        let counts = Dictionary(
            zip(run.classes, run.trainingCounts), uniquingKeysWith: { first, _ in first })
        let rows = (metrics.retrieval?.perClass ?? []).map { found in
            [
                found.name, "\(counts[found.name] ?? 0)", "\(found.photos)",
                number(found.recallAt1), number(found.mapAtR),
            ]
        }
        return
            "<h2>Classes</h2><p>Every validation photo asks for the others by the cosine of their "
            + "vectors.</p>\n"
            + HTML.table(["class", "learned", "validated", "Recall@1", "mAP@R"], rows)
    }

    private static func boxes(_ run: RunDescription, _ metrics: TrainingMetrics) -> String {
        let rows = zip(metrics.boxes?.perClass ?? [], run.trainingCounts).map { found, learned in
            [
                found.name, "\(learned)", "\(found.truths)", "\(found.detections)",
                number(found.ap), number(found.ap50), number(found.voc10),
            ]
        }
        return "<h2>Classes</h2>\n"
            + HTML.table(
                [
                    "class", "photos learned", "boxes validated", "found", "AP", "AP50",
                    "VOC 2010",
                ], rows)
    }

    private static func values(
        _ metrics: TrainingMetrics, _ answers: [(truth: [Float], answer: [Float])]
    ) -> String {
        let rows = (metrics.values?.values ?? []).map { value in
            [
                value.name, number(value.meanAbsoluteError), number(value.rootMeanSquaredError),
                number(value.r2),
            ]
        }
        var body = "<h2>Values</h2>\n"
        body += HTML.table(["value", "mean error", "root mean square", "R²"], rows)
        for (k, value) in (metrics.values?.values ?? []).enumerated() {
            body += Plot.scatter(
                value.name, answers.map { (Double($0.truth[k]), Double($0.answer[k])) })
        }
        return body
    }
}

extension Preprocessing {
    /// A network's input as a picture again: what it sees of a photo.
    func picture(of input: [Float]) -> Image {
        var image = Image(filling: .white, width, height)
        let sources = normalization.channels == .rgb ? [0, 1, 2] : [2, 1, 0]
        for y in 0..<height {
            for x in 0..<width {
                var parts: [UInt8] = [0, 0, 0]
                for channel in 0..<3 {
                    let value = Double(input[(channel * height + y) * width + x])
                    let raw =
                        (value * normalization.std[channel] + normalization.mean[channel])
                        / normalization.scale
                    parts[sources[channel]] =
                        raw.isFinite ? UInt8(min(max(raw.rounded(), 0), 255)) : 0
                }
                image[x, y] = Color(parts[0], parts[1], parts[2])
            }
        }
        return image
    }
}

extension Image {
    /// This picture under a map of weights in 0…1, blue for none and red for most, enlarged
    /// bilinearly.
    func under(_ map: [Float], rows: Int, columns: Int) -> Image {
        var result = self
        func value(_ y: Int, _ x: Int) -> Double {
            Double(map[min(max(y, 0), rows - 1) * columns + min(max(x, 0), columns - 1)])
        }
        for y in 0..<height {
            let v = (Double(y) + 0.5) * Double(rows) / Double(height) - 0.5
            let top = Int(v.rounded(.down))
            for x in 0..<width {
                let u = (Double(x) + 0.5) * Double(columns) / Double(width) - 0.5
                let left = Int(u.rounded(.down))
                let (fy, fx) = (v - Double(top), u - Double(left))
                let upper = value(top, left) * (1 - fx) + value(top, left + 1) * fx
                let lower = value(top + 1, left) * (1 - fx) + value(top + 1, left + 1) * fx
                let heat = upper * (1 - fy) + lower * fy
                let color = Color(20, 40, 200).mixed(with: Color(240, 30, 20), heat)
                result[x, y] = self[x, y].mixed(with: color, 0.15 + 0.45 * heat)
            }
        }
        return result
    }
}
