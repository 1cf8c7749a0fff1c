// Embeddings on the command line: their options, and figures class by class.

import ArgumentParser
import Graft
import GraftTraining

struct EmbeddingOptions: TaskOptionGroup {
    static let task = LearningTask.embedding

    @Option(
        help: ArgumentHelp(
            "Learn vectors of length 1 with this many numbers, near each other for photos of one class.",
            discussion: """
                As --task embedding, which makes them 128 long. `graft features` gives the vectors \
                of any photos, of classes too that were never learned from; the photos of \
                --validation may be of other classes than DATA.
                """))
    var embedding: Int?
    @Option(
        help: ArgumentHelp(
            "triplet-semihard, triplet-hard, triplet-soft, contrastive, arcface or cosface.",
            discussion: "What embeddings are learned by; triplet-semihard unless named."),
        transform: choice)
    var loss: EmbeddingLoss.Kind?
    @Option(help: "The margin of the loss: 1 unless named, of arcface 0.5, of cosface 0.35.")
    var margin: Double?
    @Option(help: "What arcface and cosface multiply cosines by: 64 unless named.")
    var scale: Double?
    @Option(
        help: "Photos of each class in a batch: 4 unless named; --batch over it are the classes.")
    var photosPerClass: Int?

    var given: [String] {
        [
            ("--loss", loss != nil), ("--margin", margin != nil), ("--scale", scale != nil),
            ("--photos-per-class", photosPerClass != nil),
        ].filter(\.1).map(\.0)
    }

    var asksForTask: String? { embedding == nil ? nil : "--embedding" }

    func settings() throws -> any TaskSettings {
        var settings = EmbeddingSettings()
        if let embedding { settings.size = embedding }
        let kind = loss ?? .tripletSemiHard
        if scale != nil, !kind.hasProxies {
            throw ValidationError("--scale is for arcface and cosface, not for \(kind.rawValue)")
        }
        settings.loss = EmbeddingLoss(kind, margin: margin)
        if let scale { settings.loss.scale = scale }
        if let photosPerClass { settings.photosPerClass = photosPerClass }
        return settings
    }
}

enum EmbeddingPresentation: TaskPresentation {
    static func subject(of photos: PhotoFolder) -> String {
        "vectors that are near for images of a class"
    }

    static func figures(_ measured: some Measured, classes: [String], columns: Int?) -> String? {
        measured.retrieval.map(text)
    }

    /// The figures of images that find others of their class.
    private static func text(_ metrics: RetrievalMetrics) -> String {
        var table = Table(["class", "recall@1", "mAP@R", "photos"], numeric: [1, 2, 3])
        for found in metrics.perClass {
            table.add([
                found.name, Report.number(found.recallAt1), Report.number(found.mapAtR),
                "\(found.photos)",
            ])
        }
        return """
            \(table.text)

            recall@1 \(decimals(metrics.recallAt1, 4))  recall@5 \(decimals(metrics.recallAt5, 4))  \
            mAP@R \(decimals(metrics.mapAtR, 4))  (\(metrics.queries) photos asked for the others)
            """
    }

    /// A vector has no columns: `graft predict` refuses such a model.
    static func columns(labels: [String], top: Int, first: (any ReadableAnswer)?) -> [String] {
        []
    }

    static var formats: [DataSetFormat] { [] }
    static var isSorted: Bool { false }
}
