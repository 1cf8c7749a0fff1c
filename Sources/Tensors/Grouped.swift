// How every room writes a large integer, and a long name where there is little space.

/// An integer with its thousands apart: `25,636,712`.
package func grouped(_ number: Int) -> String {
    var digits = Array(String(number.magnitude))
    var position = digits.count - 3
    while position > 0 {
        digits.insert(",", at: position)
        position -= 3
    }
    return (number < 0 ? "-" : "") + String(digits)
}

/// The text on at most `width` letters, without its middle: what names a thing begins and ends with tells it apart.
package func shortened(_ text: String, to width: Int) -> String {
    guard text.count > width else { return text }
    let kept = max(width - 1, 2)
    return text.prefix(kept / 2) + "…" + text.suffix(kept - kept / 2)
}
