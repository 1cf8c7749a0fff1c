// Which package index to ask: what pip itself would, so that a mirror set up for pip serves us too.

import GraftCache
import GraftSystem

/// The index and the certificates that pip is set up with.
struct PipSettings {
    var index = "https://pypi.org/simple"
    var certificates: String?

    init() {
        let home = Environment.setting("HOME")
        let user = Environment.setting("XDG_CONFIG_HOME") ?? home.map { $0 + "/.config" }
        // From the weakest to the strongest.
        let files = [
            "/etc/pip.conf", home.map { $0 + "/.pip/pip.conf" }, user.map { $0 + "/pip/pip.conf" },
            Environment.setting("PIP_CONFIG_FILE"),
        ]
        for section in ["global", "install"] {
            for case let file? in files {
                let settings = PipSettings.read(file, section: section)
                if let value = settings["index-url"] { index = value }
                if let value = settings["cert"] { certificates = value }
            }
        }
        if let value = Environment.setting("PIP_INDEX_URL") { index = value }
        if let value = Environment.setting("PIP_CERT") { certificates = value }
        while index.hasSuffix("/") { index.removeLast() }
    }

    /// The keys of one section of an INI file.
    private static func read(_ path: String, section: String) -> [String: String] {
        guard let bytes = Files.read(path, limit: 1 << 20) else { return [:] }
        var values: [String: String] = [:]
        var isInside = false
        for raw in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let line = trimmed(raw)
            if line.hasPrefix("[") {
                isInside = line == "[\(section)]"
            } else if isInside, !line.hasPrefix("#"), !line.hasPrefix(";"),
                let sign = line.firstIndex(where: { $0 == "=" || $0 == ":" })
            {
                let key = trimmed(line[..<sign]).lowercased()
                values[key.split(separator: "_").joined(separator: "-")] = trimmed(
                    line[line.index(after: sign)...])
            }
        }
        return values
    }
}

func trimmed(_ text: Substring) -> String {
    let start = text.drop { $0.isWhitespace }
    guard let end = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
    return String(start[...end])
}

private func trimmed(_ text: String) -> String { trimmed(text[...]) }
