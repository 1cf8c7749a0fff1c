// Where values enter a network: images, and values of any type.

public import GraftTensors

extension Op {
    /// The images: N × C × H × W, or a value of another type.
    public struct Input: OpRule {
        /// The name in files.
        public static let name = "input"
        /// The format of the native file that can say this.
        public var formatVersion: Int { type == nil ? 1 : 2 }
        /// The number of channels of the images; 0 if the input is not images.
        public var channels: Int
        /// The type of a value that is not images.
        public var type: OpenType?

        /// The name in a summary.
        public var kind: String { "input" }
        /// An input.
        public var family: OpFamily { .input }

        /// The value that is handed in.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let shape = try inputs.one()
            if let type {
                guard type.element == inputs[0].element else {
                    throw .elementType(expected: type.element, found: inputs[0].element)
                }
                guard type.fits(shape) else { throw .unfitOpenType(shape, expected: type) }
                return inputs
            }
            guard shape.rank == 4, shape.dimensions.allSatisfy({ $0 > 0 }), shape[1] == channels
            else { throw .unfitInput(shape, channels: channels) }
            return inputs
        }

        /// Images of this number of channels.
        public init(channels: Int) { self.channels = channels }

        /// A value of this type.
        public init(type: OpenType) {
            channels = 0
            self.type = type
        }

        private enum CodingKeys: String, CodingKey { case channels, element, sizes }

        /// Reads the channels of images, as version 1 of the native file has them, or a type.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            if let element = try container.decodeIfPresent(DType.self, forKey: .element) {
                let sizes = try container.decode([OpenType.Size].self, forKey: .sizes)
                self.init(type: OpenType(element: element, sizes: sizes))
            } else {
                self.init(channels: try container.decode(Int.self, forKey: .channels))
            }
        }

        /// Writes images as version 1 does.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            if let type {
                try container.encode(type.element, forKey: .element)
                try container.encode(type.sizes, forKey: .sizes)
            } else {
                try container.encode(channels, forKey: .channels)
            }
        }
    }

    /// The images: N × `channels` × H × W.
    public static func input(channels: Int) -> Op { .input(Input(channels: channels)) }

    /// A value of this type.
    public static func input(_ type: OpenType) -> Op { .input(Input(type: type)) }
}

/// A type whose sizes may only be known when a value comes.
public struct OpenType: Sendable, Hashable {
    /// The type of an element.
    public var element: DType
    /// The sizes of the axes.
    public var sizes: [Size]

    /// A size of an axis: a number, or the name of an unknown, which is the same wherever it is named.
    public enum Size: Sendable, Hashable {
        /// This number.
        case number(Int)
        /// Any number, one for each name.
        case unknown(String)
    }

    /// A type.
    public init(element: DType, sizes: [Size]) {
        self.element = element
        self.sizes = sizes
    }

    /// Whether a value of this shape has the type.
    public func fits(_ shape: Shape) -> Bool {
        guard shape.rank == sizes.count, shape.checkedCount != nil else { return false }
        var known: [String: Int] = [:]
        return zip(sizes, shape.dimensions).allSatisfy { size, found in
            switch size {
            case .number(let number): return number == found && found > 0
            case .unknown(let name):
                let number = known[name, default: found]
                known[name] = found
                return number == found && found > 0
            }
        }
    }
}

extension OpenType: CustomStringConvertible {
    /// `I64 (batch, 77)`.
    public var description: String {
        let list = sizes.map { size in
            switch size {
            case .number(let number): "\(number)"
            case .unknown(let name): name
            }
        }
        return "\(element.rawValue) (\(list.joined(separator: ", ")))"
    }
}

extension OpenType.Size: Codable {
    /// Reads a number or a name.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int.self) {
            self = .number(number)
        } else {
            self = .unknown(try container.decode(String.self))
        }
    }

    /// Writes a number or a name.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .number(let number): try container.encode(number)
        case .unknown(let name): try container.encode(name)
        }
    }
}
