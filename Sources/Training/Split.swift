// Which photos are learned from and which are kept back, remembered from run to run.

import Crypto

/// The two sides of a set of photos, by relative path. Saved as `split.json` in a run folder.
public struct Split: Codable, Sendable, Hashable {
    /// What the choice was drawn with.
    public let seed: UInt64
    /// The share that is kept back.
    public let fraction: Double
    /// The photos to learn from, in the order of the folder.
    public let training: [String]
    /// The photos to validate with, in the order of the folder.
    public let validation: [String]

    /// Keeps `fraction` of each class back, rounded, at least one photo, and never all.
    ///
    /// Photos are ranked by a hash of seed and relative path, so that the choice depends on no
    /// order and no clock. Adding a photo to a class changes the side of at most one other;
    /// with `previous`, of none: photos that it knows stay where they were.
    public static func stratified(
        _ photos: PhotoFolder, seed: UInt64, fraction: Double, keeping previous: Split? = nil
    ) throws -> Split {
        guard fraction > 0, fraction < 1 else { throw PhotoFolderError.fraction(fraction) }
        let oldTraining = Set(previous?.training ?? [])
        let oldValidation = Set(previous?.validation ?? [])
        var chosen: Set<String> = []
        for (index, name) in photos.classes.enumerated() {
            let paths = photos.items.filter { $0.classIndex == index }.map(\.relativePath)
            guard paths.count >= 2 else {
                throw PhotoFolderError.tooFew(name, count: paths.count)
            }
            let wanted = Int((Double(paths.count) * fraction).rounded())
            let kept = paths.filter(oldValidation.contains)
            let free = paths.filter { !oldValidation.contains($0) && !oldTraining.contains($0) }
            let missing = min(max(wanted, 1), paths.count - 1) - kept.count
            let ranked = free.map { (rank($0, seed), $0) }.sorted { $0 < $1 }
            chosen.formUnion(kept)
            chosen.formUnion(ranked.prefix(max(missing, 0)).map(\.1))
        }
        let paths = photos.items.map(\.relativePath)
        return Split(
            seed: seed, fraction: fraction, training: paths.filter { !chosen.contains($0) },
            validation: paths.filter(chosen.contains))
    }

    /// The photos of `folder` on each side, in its order. Photos that the split does not know
    /// are on neither.
    public func items(of folder: PhotoFolder) -> (
        training: [PhotoFolder.Item], validation: [PhotoFolder.Item]
    ) {
        let learned = Set(training)
        let held = Set(validation)
        return (
            folder.items.filter { learned.contains($0.relativePath) },
            folder.items.filter { held.contains($0.relativePath) }
        )
    }

    /// The first 8 bytes of SHA-256 over seed and path.
    private static func rank(_ path: String, _ seed: UInt64) -> UInt64 {
        SHA256.hash(data: Array("\(seed)\n\(path)".utf8)).prefix(8)
            .reduce(0) { $0 << 8 | UInt64($1) }
    }
}
