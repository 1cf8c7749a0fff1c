// How well photos find others of their class: Recall@K and mAP@R, each photo asked in turn.

import GraftExecution

/// Every photo asks for the others by the cosine of their vectors. Photos that are alone of their
/// class have nothing to find: they ask nothing, and are among what others can find.
public struct RetrievalMetrics: Sendable, Hashable, Codable {
    /// The photos of one class as questions.
    public struct Class: Sendable, Hashable, Codable {
        /// The class.
        public var name: String
        /// Its photos.
        public var photos: Int
        /// See ``RetrievalMetrics/recallAt1``; nil where none asks.
        public var recallAt1: Double?
        /// See ``RetrievalMetrics/mapAtR``; nil where none asks.
        public var mapAtR: Double?
    }

    /// The photos that ask.
    public var queries: Int
    /// The share of them whose nearest photo is of their class.
    public var recallAt1: Double
    /// The share that has one of their class among the nearest five.
    public var recallAt5: Double
    /// The mean share of their class among the R nearest, R being the number of its other photos.
    public var rPrecision: Double
    /// Mean average precision at R (Musgrave, Belongie & Lim, arXiv:2003.08505): the mean over the
    /// first R places of the precision there, places of other classes counting 0.
    public var mapAtR: Double
    /// Class by class.
    public var perClass: [Class]

    /// What is found, and each photo's nearest other photo.
    struct Found {
        var metrics: RetrievalMetrics
        /// By photo: the nearest one and their cosine.
        var nearest: [(photo: Int, cosine: Float)]
    }

    /// Measures vectors (rows × `width`) of any length; nil if no class has two.
    public static func measure(
        _ vectors: [Float], width: Int, labels: [Int], classes: [String]
    ) throws -> RetrievalMetrics? {
        try find(vectors, width: width, labels: labels, classes: classes)?.metrics
    }

    /// The same, with each photo's nearest.
    static func find(
        _ vectors: [Float], width: Int, labels: [Int], classes: [String]
    ) throws -> Found? {
        precondition(width > 0 && vectors.count == labels.count * width)
        var counts = [Int](repeating: 0, count: classes.count)
        for label in labels { counts[label] += 1 }
        guard counts.contains(where: { $0 > 1 }) else { return nil }
        var units = vectors
        Neighbours.normalise(&units, width)
        var nearest: [(photo: Int, cosine: Float)] = []
        var tally = [Tally](repeating: Tally(), count: classes.count)
        let all = labels.count
        // A block of photos at a time: their cosines to all others are held at once.
        for start in stride(from: 0, to: all, by: 64) {
            let rows = min(64, all - start)
            var near = [Float](repeating: 0, count: rows * all)
            try units.withUnsafeBufferPointer { units in
                try near.withUnsafeMutableBufferPointer {
                    try MatrixProduct.multiply(
                        .init(rebasing: units[(start * width)..<((start + rows) * width)]), units,
                        transposedB: true, into: $0, rows: rows, columns: all, inner: width)
                }
            }
            for row in 0..<rows {
                let (query, label) = (start + row, labels[start + row])
                let cosines = near[(row * all)..<((row + 1) * all)]
                func cosine(_ photo: Int) -> Float { cosines[cosines.startIndex + photo] }
                // Of equal cosines the first photo wins, so that the order is always the same.
                let order = labels.indices.filter { $0 != query }.sorted {
                    cosine($0) != cosine($1) ? cosine($0) > cosine($1) : $0 < $1
                }
                if let first = order.first { nearest.append((first, cosine(first))) }
                if counts[label] > 1 {
                    tally[label].add(
                        order.lazy.map { labels[$0] == label }, others: counts[label] - 1)
                }
            }
        }
        let sum = tally.reduce(into: Tally()) { $0.add($1) }
        let queries = Double(sum.queries)
        return Found(
            metrics: RetrievalMetrics(
                queries: sum.queries, recallAt1: Double(sum.first) / queries,
                recallAt5: Double(sum.five) / queries, rPrecision: sum.share / queries,
                mapAtR: sum.precision / queries,
                perClass: zip(classes, zip(counts, tally)).filter { $0.1.0 > 0 }.map {
                    name, found in
                    let asked = Double(found.1.queries)
                    return Class(
                        name: name, photos: found.0,
                        recallAt1: asked > 0 ? Double(found.1.first) / asked : nil,
                        mapAtR: asked > 0 ? found.1.precision / asked : nil)
                }), nearest: nearest)
    }

    /// What photos have found.
    private struct Tally {
        var queries = 0
        var first = 0
        var five = 0
        var share = 0.0
        var precision = 0.0

        /// One photo: whether each of the others, the nearest first, is of its class.
        mutating func add(_ isSame: some Sequence<Bool>, others: Int) {
            queries += 1
            var (hits, precision) = (0, 0.0)
            for (place, same) in isSame.prefix(max(others, 5)).enumerated() where same {
                if place == 0 { first += 1 }
                if place < 5, hits == 0 { five += 1 }
                hits += 1
                if place < others {
                    precision += Double(hits) / Double(place + 1)
                    share += 1 / Double(others)
                }
            }
            self.precision += precision / Double(others)
        }

        mutating func add(_ other: Tally) {
            queries += other.queries
            first += other.first
            five += other.five
            share += other.share
            precision += other.precision
        }
    }
}
