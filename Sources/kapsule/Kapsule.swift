@main
struct Kapsule {
    static func main() {}
}
