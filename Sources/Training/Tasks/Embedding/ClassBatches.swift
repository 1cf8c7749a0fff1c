// Batches of P classes with K photos each: without them a batch would have no pairs to learn from.

/// Puts an epoch's batches together. Every photo is in at least one; classes with few photos are
/// met again and again, so that a batch has as many classes as there is room for.
struct ClassBatches {
    /// The photos of each class that has any.
    private let photos: [[Int]]
    private let classesPerBatch: Int
    private let photosPerClass: Int

    /// Batches of up to `size` photos with the classes `labels`, `photosPerClass` of each.
    init(_ labels: [Int], size: Int, photosPerClass: Int) {
        var byClass: [Int: [Int]] = [:]
        for (photo, label) in labels.enumerated() { byClass[label, default: []].append(photo) }
        photos = byClass.keys.sorted().compactMap { byClass[$0] }
        self.photosPerClass = photosPerClass
        classesPerBatch = max(1, min(size / photosPerClass, photos.count))
    }

    /// The batches of an epoch. How many there are depends on the classes' sizes alone.
    func draw(_ random: inout RandomSource) -> [[Int]] {
        var groups = photos.map { self.groups($0, &random) }
        var batches: [[Int]] = []
        while groups.contains(where: { !$0.isEmpty }) {
            // Those with most left first, so that the last batches are no worse than the others.
            let order = random.permutation(photos.count).sorted {
                groups[$0].count > groups[$1].count
            }
            var batch: [Int] = []
            for index in order.prefix(classesPerBatch) {
                batch += groups[index].popLast() ?? some(photos[index], &random)
            }
            batches.append(batch)
        }
        return batches
    }

    /// A class's photos in groups of K, in random order; the last is filled up with others of them.
    private func groups(_ photos: [Int], _ random: inout RandomSource) -> [[Int]] {
        let order = random.permutation(photos.count).map { photos[$0] }
        return stride(from: 0, to: order.count, by: photosPerClass).map { start in
            let group = Array(order[start..<min(start + photosPerClass, order.count)])
            let missing = min(photosPerClass, order.count) - group.count
            guard missing > 0 else { return group }
            let others = Array(order[..<start])
            return group + random.permutation(others.count).prefix(missing).map { others[$0] }
        }
    }

    /// K of a class's photos, or all if there are fewer.
    private func some(_ photos: [Int], _ random: inout RandomSource) -> [Int] {
        random.permutation(photos.count).prefix(photosPerClass).map { photos[$0] }
    }
}
