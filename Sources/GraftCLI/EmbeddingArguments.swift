// The options of `graft train` for embeddings.

import ArgumentParser
import GraftTraining

struct EmbeddingArguments: ParsableArguments {
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

    /// The settings, if embeddings are to be learned.
    func settings(_ task: LearningTask?) throws -> EmbeddingSettings? {
        guard task == .embedding || embedding != nil else {
            for (name, isGiven) in [
                ("--loss", loss != nil), ("--margin", margin != nil), ("--scale", scale != nil),
                ("--photos-per-class", photosPerClass != nil),
            ] where isGiven {
                throw ValidationError("\(name) is for embeddings: add `--task embedding`")
            }
            return nil
        }
        if let task, task != .embedding {
            throw ValidationError("--embedding contradicts --task \(task.rawValue)")
        }
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
