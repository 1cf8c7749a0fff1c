// A dictionary whose keys are paths, told apart by their bytes.

/// Values by path. Unlike `[String: Value]` it keeps `é` in one code point and in two apart, as file
/// systems and git do.
///
/// As JSON it is an object. Foundation's coders put keys into a `[String: …]`, which would lose one of such
/// a pair: bytes go through ``JSONKeys`` before they are decoded and after they are encoded.
public struct ByPath<Value> {
    private var values: [ExactText: Value] = [:]

    /// An empty dictionary.
    public init() {}

    /// The value of a path.
    public subscript(path: String) -> Value? {
        get { values[ExactText(path)] }
        set { values[ExactText(path)] = newValue }
    }

    /// Sets the value of a path; the one that was there before.
    @discardableResult
    public mutating func updateValue(_ value: Value, forKey path: String) -> Value? {
        values.updateValue(value, forKey: ExactText(path))
    }

    /// Removes the value of a path; the one that was there.
    @discardableResult
    public mutating func removeValue(forKey path: String) -> Value? {
        values.removeValue(forKey: ExactText(path))
    }

    /// The paths, in the order of their bytes.
    public var keys: [String] { values.keys.sorted().map(\.text) }

    /// The number of paths.
    public var count: Int { values.count }

    /// Whether there is no path.
    public var isEmpty: Bool { values.isEmpty }

    /// The same paths with other values.
    public func mapValues<Result>(_ body: (Value) throws -> Result) rethrows -> ByPath<Result> {
        var result = ByPath<Result>()
        for (key, value) in values { result.values[key] = try body(value) }
        return result
    }
}

extension ByPath: Sequence {
    /// The paths and their values, in no order.
    public func makeIterator() -> AnyIterator<(key: String, value: Value)> {
        var rest = values.makeIterator()
        return AnyIterator { rest.next().map { ($0.key.text, $0.value) } }
    }
}

extension ByPath: Sendable where Value: Sendable {}
extension ByPath: Equatable where Value: Equatable {}

extension ByPath: ExpressibleByDictionaryLiteral {
    /// The dictionary of a literal; of a path that occurs twice the last value counts.
    public init(dictionaryLiteral elements: (String, Value)...) {
        for (path, value) in elements { self[path] = value }
    }
}

private struct PathKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension ByPath: Decodable where Value: Decodable {
    /// Reads an object whose keys went through ``JSONKeys/protected(_:)``.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: PathKey.self)
        for key in container.allKeys {
            guard let path = JSONKeys.text(key.stringValue) else {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: container, debugDescription: "the key is not text")
            }
            self[path] = try container.decode(Value.self, forKey: key)
        }
    }
}

extension ByPath: Encodable where Value: Encodable {
    /// Writes an object; its bytes have to go through ``JSONKeys/plain(_:)``.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: PathKey.self)
        for (path, value) in self {
            try container.encode(value, forKey: PathKey(stringValue: JSONKeys.key(path)))
        }
    }
}
