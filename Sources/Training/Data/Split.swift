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
    /// SHA-256 of the contents of the images that were learned from, which find them again under
    /// another name; nil in the files of older versions.
    public var trainingDigests: [String]?
    /// SHA-256 of the contents of the validation images.
    public var validationDigests: [String]?

    /// Keeps `fraction` of each class back, rounded, at least one photo, and never all; the only
    /// photo of a class is learned from.
    ///
    /// Photos of one group stay together; the shares are as near as whole groups allow then.
    /// Photos are ranked by a hash of seed and relative path, so that the choice depends on no
    /// order and no clock. Adding a photo to a class changes the side of at most one other;
    /// with `previous`, of none: photos that it knows stay where they were.
    public static func stratified(
        _ photos: PhotoFolder, seed: UInt64, fraction: Double, keeping previous: Split? = nil
    ) throws -> Split {
        guard fraction > 0, fraction < 1 else { throw PhotoFolderError.fraction(fraction) }
        if photos.items.contains(where: { $0.group != nil }) {
            return try byGroup(photos, seed: seed, fraction: fraction)
        }
        let oldTraining = Set(previous?.training ?? [])
        let oldValidation = Set(previous?.validation ?? [])
        var chosen: Set<String> = []
        var alone: String?
        let strata = strata(photos)
        for name in sortedNames(Set(strata)) {
            let paths = zip(photos.items, strata).filter { $1 == name }.map(\.0.relativePath)
            // One image cannot be on both sides: it is learned from.
            if paths.count < 2 {
                alone = alone ?? name
                continue
            }
            let wanted = Int((Double(paths.count) * fraction).rounded())
            let kept = paths.filter(oldValidation.contains)
            let free = paths.filter { !oldValidation.contains($0) && !oldTraining.contains($0) }
            let missing = min(max(wanted, 1), paths.count - 1) - kept.count
            let ranked = free.map { (rank($0, seed), $0) }.sorted { $0 < $1 }
            chosen.formUnion(kept)
            chosen.formUnion(ranked.prefix(max(missing, 0)).map(\.1))
        }
        if chosen.isEmpty, let alone, photos.labelling == .oneClass {
            throw PhotoFolderError.tooFew(alone, count: 1)
        }
        return Split(photos, seed, fraction, chosen)
    }

    private init(_ photos: PhotoFolder, _ seed: UInt64, _ fraction: Double, _ chosen: Set<String>) {
        let paths = photos.items.map(\.relativePath)
        self.init(
            seed: seed, fraction: fraction, training: paths.filter { !chosen.contains($0) },
            validation: paths.filter(chosen.contains))
    }

    /// A split of these sides.
    public init(seed: UInt64, fraction: Double, training: [String], validation: [String]) {
        self.seed = seed
        self.fraction = fraction
        self.training = training
        self.validation = validation
    }

    /// What both sides should have alike: the class; of labels, the rarest that holds; of numbers,
    /// the fifth that the first of them is in.
    private static func strata(_ photos: PhotoFolder) -> [String] {
        switch photos.labelling {
        case .oneClass: return photos.items.map { photos.classes[$0.classIndex] }
        case .labels:
            let counts = photos.counts
            return photos.items.map { item in
                item.targets.indices.filter { item.targets[$0] > 0 }
                    .min { (counts[$0], $0) < (counts[$1], $1) }
                    .map { photos.classes[$0] } ?? ""
            }
        case .values:
            let order = photos.items.indices.sorted {
                let (a, b) = (photos.items[$0], photos.items[$1])
                return (a.targets[0], a.relativePath) < (b.targets[0], b.relativePath)
            }
            var result = [String](repeating: "", count: order.count)
            for (place, index) in order.enumerated() {
                result[index] = "\(place * 5 / order.count)"
            }
            return result
        }
    }

    /// Whole groups: in an order that the seed draws, each goes to the validation side if that
    /// brings the sides' classes nearer to the share that is wanted.
    private static func byGroup(_ photos: PhotoFolder, seed: UInt64, fraction: Double) throws
        -> Split
    {
        let strata = strata(photos)
        var groups: [String: [Int]] = [:]
        for (index, item) in photos.items.enumerated() {
            groups[item.group ?? item.relativePath, default: []].append(index)
        }
        func counted(_ indices: [Int]) -> [String: Int] {
            indices.reduce(into: [:]) { $0[strata[$1], default: 0] += 1 }
        }
        let all = counted(Array(strata.indices))
        var left = all
        var missing = all.mapValues { Double($0) * fraction }
        var chosen: Set<String> = []
        for (_, name) in groups.keys.map({ (rank($0, seed), $0) }).sorted(by: { $0 < $1 }) {
            let own = counted(groups[name] ?? [])
            // The sum of the squares of what is missing shrinks, and every class stays on the other
            // side too.
            let change = own.reduce(0.0) { sum, part in
                let before = missing[part.key] ?? 0
                let after = before - Double(part.value)
                return sum + after * after - before * before
            }
            guard change < 0, own.allSatisfy({ (left[$0.key] ?? 0) > $0.value }) else { continue }
            for (stratum, count) in own {
                missing[stratum, default: 0] -= Double(count)
                left[stratum, default: 0] -= count
            }
            for index in groups[name] ?? [] { chosen.insert(photos.items[index].relativePath) }
        }
        for (name, count) in all where photos.labelling == .oneClass && left[name] == count {
            throw PhotoFolderError.tooFewGroups(name, groups: groups.count)
        }
        guard !chosen.isEmpty else {
            throw PhotoFolderError.tooFewGroups(
                photos.classes.first ?? "photos", groups: groups.count)
        }
        return Split(photos, seed, fraction, chosen)
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
