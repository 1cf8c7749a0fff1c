// Attention of several heads, as one operation.

public import GraftTensors

extension Op {
    /// `softmax(scale · Q Kᵀ + bias) V` in several heads (arXiv:1706.03762).
    ///
    /// It reads queries (N, Q, heads · d), keys (N, K, heads · d) and values (N, K, heads · e), or one value
    /// (N, T, 3 · heads · d) in which all three lie one after another; then, if there is one, the bias: it is
    /// repeated to (N, heads, Q, K), except that its first axis may be any that divides N, as windows of one
    /// image share theirs. The value is (N, Q, heads · e).
    public struct Attention: OpRule {
        /// The name in files.
        public static let name = "attention"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The heads, whose numbers lie one after another in each token.
        public var heads: Int
        /// The factor of the products of queries and keys; nil is 1 / √d.
        public var scale: Float?
        /// Whether query i sees the keys 0 … i only.
        public var isCausal: Bool

        /// The name in a summary.
        public var kind: String { "attention" }
        /// A product.
        public var family: OpFamily { .product }

        /// A token for each query.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let sizes = try sizes(of: inputs)
            let (width, overflow) = heads.multipliedReportingOverflow(by: sizes.valueWidth)
            guard !overflow else { throw .tooLarge(inputs[0].shape) }
            return [ValueType([sizes.batch, sizes.queries, width])]
        }

        /// The sizes of queries, keys and values.
        public struct Sizes: Sendable, Hashable {
            /// The samples.
            public var batch: Int
            /// The tokens that ask.
            public var queries: Int
            /// The tokens that are asked.
            public var keys: Int
            /// The numbers of a head of queries and keys.
            public var width: Int
            /// The numbers of a head of values.
            public var valueWidth: Int
            /// Whether queries, keys and values are one value.
            public var isPacked: Bool
            /// The shape of the bias with four axes, if there is one.
            public var bias: Shape?
        }

        /// The sizes of attention over values of these types.
        ///
        /// - Throws: ``OpFlaw`` if they do not fit one another.
        public func sizes(of inputs: [ValueType]) throws(OpFlaw) -> Sizes {
            guard (1...4).contains(inputs.count) else {
                throw .inputCount(expected: 3, found: inputs.count)
            }
            guard heads > 0 else { throw .outputCount(heads) }
            let isPacked = inputs.count < 3
            let parts = inputs.prefix(isPacked ? 1 : 3).map(\.shape)
            for part in parts where part.rank != 3 || part.checkedCount ?? 0 == 0 {
                throw .notTokens(part)
            }
            let (q, k, v) =
                isPacked ? (parts[0], parts[0], parts[0]) : (parts[0], parts[1], parts[2])
            guard k[0] == q[0], v[0] == q[0], v[1] == k[1] else {
                throw .unfitProduct(q, with: k[0] == q[0] ? v : k)
            }
            // Divided first: the products cannot overflow.
            let share = isPacked ? 3 : 1
            for part in parts where part[2] % share != 0 || part[2] / share % heads != 0 {
                throw .unfitGroups(heads, inputs: part[2], outputs: part[2] / share)
            }
            guard k[2] == q[2] else { throw .unfitProduct(q, with: k) }
            var sizes = Sizes(
                batch: q[0], queries: q[1], keys: k[1], width: q[2] / share / heads,
                valueWidth: v[2] / share / heads, isPacked: isPacked)
            if inputs.count == 2 || inputs.count == 4 {
                sizes.bias = try bias(inputs[inputs.count - 1].shape, for: sizes)
            }
            return sizes
        }

        /// The bias with four axes.
        private func bias(_ shape: Shape, for sizes: Sizes) throws(OpFlaw) -> Shape {
            let whole: Shape = [sizes.batch, heads, sizes.queries, sizes.keys]
            guard shape.rank <= 4, shape.checkedCount ?? 0 > 0 else {
                throw .unfitBroadcast(shape, with: whole)
            }
            let bias = Shape([Int](repeating: 1, count: 4 - shape.rank) + shape.dimensions)
            let fits = (1..<4).allSatisfy { bias[$0] == 1 || bias[$0] == whole[$0] }
            guard fits, sizes.batch % bias[0] == 0 else {
                throw .unfitBroadcast(shape, with: whole)
            }
            return bias
        }
    }

    /// Attention in this many heads, scaled by 1 / √d unless a scale is given.
    public static func attention(heads: Int, scale: Float? = nil, isCausal: Bool = false) -> Op {
        .attention(Attention(heads: heads, scale: scale, isCausal: isCausal))
    }
}
