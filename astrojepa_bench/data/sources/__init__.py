"""What reads bytes: HDF5, folders, archives, tables (CSV, Parquet, FITS), images, the hub."""
