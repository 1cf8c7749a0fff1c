// What embeddings are learned by: triplets, pairs, or a margin around a vector for each class.

/// A loss on the unit vectors of a batch.
public struct EmbeddingLoss: Sendable, Hashable, Codable {
    /// Which.
    public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
        /// Triplets with semi-hard negatives (FaceNet, arXiv:1503.03832), as TensorFlow Addons
        /// defines them: of each pair of one class, the nearest of another class that is further
        /// away than the pair is, or, if there is none, the furthest.
        case tripletSemiHard = "triplet-semihard"
        /// Each photo with the furthest of its class and the nearest of another (arXiv:1703.07737).
        case tripletHard = "triplet-hard"
        /// The same, with log(1 + eˣ) and no margin.
        case tripletSoft = "triplet-soft"
        /// All pairs (Hadsell, Chopra & LeCun 2006): y d² + (1 − y) max(margin − d, 0)².
        case contrastive
        /// Softmax over classes, an angle added to that of the own one (arXiv:1801.07698).
        case arcFace = "arcface"
        /// Softmax over classes, a margin taken from the cosine of the own one (arXiv:1801.09414).
        case cosFace = "cosface"

        /// Whether it learns a vector for each class.
        public var hasProxies: Bool { self == .arcFace || self == .cosFace }
    }

    /// Which.
    public var kind: Kind
    /// How far apart classes are to be: a distance, ArcFace's angle or CosFace's cosine.
    public var margin: Double
    /// What cosines are multiplied by; of arcface and cosface.
    public var scale: Double

    /// A loss with the margin of its paper: 1 of distances, 0.5 of ArcFace, 0.35 of CosFace; and a
    /// scale of 64.
    public init(_ kind: Kind = .tripletSemiHard, margin: Double? = nil, scale: Double = 64) {
        self.kind = kind
        self.margin = margin ?? (kind == .arcFace ? 0.5 : kind == .cosFace ? 0.35 : 1)
        self.scale = scale
    }

    /// The vectors of the classes, and where their gradient goes.
    public struct Proxies {
        /// One row for each class, of any length.
        public var values: UnsafeMutableBufferPointer<Float>
        /// Its gradient.
        public var gradient: UnsafeMutableBufferPointer<Float>?

        /// Vectors of classes.
        public init(
            _ values: UnsafeMutableBufferPointer<Float>,
            gradient: UnsafeMutableBufferPointer<Float>? = nil
        ) {
            (self.values, self.gradient) = (values, gradient)
        }
    }

    /// The mean loss of the first `labels.count` rows of `vectors` (rows × `width`), each of length
    /// 1. Of triplets, the mean is over the pairs of one class (semi-hard) or over the photos.
    ///
    /// `gradient`, if given, receives the mean's gradient; rows beyond those with labels, zeros.
    public func mean(
        _ vectors: UnsafeBufferPointer<Float>, width: Int, labels: [Int],
        proxies: Proxies? = nil, gradient: UnsafeMutableBufferPointer<Float>? = nil
    ) -> Double {
        precondition(width > 0 && labels.count * width <= vectors.count)
        precondition(gradient.map { $0.count == vectors.count } ?? true)
        gradient?.update(repeating: 0)
        guard !labels.isEmpty else { return 0 }
        guard kind.hasProxies else {
            let pairs = PairDistances(vectors, width: width, count: labels.count)
            var slopes = [Double](repeating: 0, count: labels.count * labels.count)
            let loss =
                switch kind {
                case .contrastive: contrastive(pairs, labels, &slopes)
                case .tripletSemiHard: semiHard(pairs, labels, &slopes)
                default: hard(pairs, labels, &slopes)
                }
            if let gradient { pairs.pass(slopes, vectors, gradient) }
            return loss
        }
        guard let proxies else { preconditionFailure("\(kind.rawValue) needs vectors of classes") }
        return margins(vectors, width, labels, proxies, gradient)
    }
}
