use hw_train::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let config: TrainConfig = serde_json::from_str(&a[1]).unwrap();
    let e = Experiment::load(config, &hw_data::DataDirs::resolve(None)).unwrap();
    println!("{} {:?}", e.id(), e.sizes());
    let o = e.complete(std::path::Path::new(&a[2]), RunOptions::new(&mut |ev| println!("{}", serde_json::to_string(ev).unwrap()))).unwrap();
    println!("{:?}", o.seconds());
}
